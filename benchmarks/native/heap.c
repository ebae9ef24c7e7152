// SPDX-License-Identifier: MIT
// Any number of tasks: a binary heap with an event for every arrival and every drain, and for a
// task that has to wait. What simulator/engine/{events,cpu,task}.py say, in C.

#include "rules.h"

enum { ARRIVAL, DRAIN, TASK, DEFERRED }; // what happens

#define CLASS_HANDLER 0
#define CLASS_ARRIVAL (1 << 12)
#define CLASS_MEETING (2 << 12)
#define KEY(ns, class, cpu) ((ns) << 14 | (class) | (cpu))

struct event {
	i64 key;
	int what, who;
};

struct csd {
	i64 enqueued, release; // -1: not released
};

struct task {
	i64 cpu, line; // `line`: where to go on
	i64 met, work, seen_stolen, saw, goal;
	i64 nth, i, start, until, t;
	u64 key;
	i64 nr_wanted, waits_for; // -1: for no csd
	struct csd *csds;
	i8 *wanted;
};

struct eager { // what only this simulator knows of a CPU
	i64 stolen, arrive, start, entry, exit, found;
	i64 deferred, value; // an interrupt waits until they are on
	int polled, irqs_off, queued, task; // task: -1, none (any more)
};

struct sim {
	struct machine M;
	struct cpu *cpus;
	struct eager *eager;
	struct task *tasks;
	int *queue; // by CPU: the tasks whose csds are in its list
	i64 nr_tasks, nr_flushes, think_ns, run_ns, refill_ns, now;
	const i64 *line_ns; // of a polling CPU's flag, by distance
	struct event *heap, *soon; // soon: at the present key, in this order
	int nr_events, first_soon, nr_soon;
	i64 *order;
	i8 *begins;
	struct results *r;
};

static void push(struct sim *S, i64 key, int what, int who)
{
	int at = ++S->nr_events;

	while (at > 1 && S->heap[at / 2].key > key) {
		S->heap[at] = S->heap[at / 2];
		at /= 2;
	}
	S->heap[at] = (struct event){ key, what, who };
}

static struct event pop(struct sim *S)
{
	struct event first = S->heap[1], last = S->heap[S->nr_events--];
	int at = 1, below;

	while ((below = 2 * at) <= S->nr_events) {
		if (below < S->nr_events && S->heap[below + 1].key < S->heap[below].key)
			below++;
		if (last.key <= S->heap[below].key)
			break;
		S->heap[at] = S->heap[below];
		at = below;
	}
	S->heap[at] = last;
	return first;
}

static void push_now(struct sim *S, int what, int who)
{
	S->soon[S->nr_soon++] = (struct event){ S->now, what, who };
}

static int pending(const struct sim *S, i64 key)
{
	return S->first_soon < S->nr_soon || (S->nr_events && S->heap[1].key <= key);
}

// --- CPUs

static void start_handler(struct sim *S, int cpu, i64 start)
{
	struct eager *e = &S->eager[cpu];
	i64 drain = start + e->entry;

	e->start = start;
	S->cpus[cpu].busy_until = drain;
	e->stolen += e->entry;
	push(S, max64(KEY(drain, CLASS_HANDLER, cpu), S->now), DRAIN, cpu);
}

static void arrival(struct sim *S, int cpu)
{
	struct eager *e = &S->eager[cpu];
	struct cpu *c = &S->cpus[cpu];
	i64 start;

	if (e->task >= 0 && c->busy_until <= e->arrive) {
		e->found = e->irqs_off ? AT_FOUND_irqs_off : AT_FOUND_running;
		if (e->irqs_off) {
			e->deferred = 1;
			return;
		}
		start = e->arrive;
	} else {
		start = answer(&S->M, c, cpu, e->arrive, e->polled, &e->found);
	}
	start_handler(S, cpu, start);
}

static void drain(struct sim *S, int cpu)
{
	struct eager *e = &S->eager[cpu];
	struct cpu *c = &S->cpus[cpu];
	i64 drain_ns = c->busy_until, t = drain_ns;
	i64 refill = e->queued ? S->refill_ns : 0;

	for (int k = 0; k < e->queued; k++) {
		int who = S->queue[cpu * S->nr_tasks + k];
		struct task *task = &S->tasks[who];
		struct csd *csd = &task->csds[cpu];

		t += S->run_ns + (k ? S->M.contention_ns : 0);
		csd->release = t;
		count(S->r->ack, t - csd->enqueued);
		if (S->r->releases)
			*S->r->releases += release_term(task->cpu, task->nth, cpu, t);
		if (task->waits_for == cpu) {
			task->waits_for = -1;
			push_now(S, TASK, who);
		}
	}
	e->queued = 0;
	i64 end = t + e->exit;
	e->stolen += end - drain_ns + refill;
	c->refill_ns += refill;
	settle(c, S->r->handler, e->found, end - e->start, end);
	if (e->found == AT_FOUND_irqs_off)
		c->irqs_off_delay_ns += e->start - e->arrive;
}

static void send_ipi(struct sim *S, i64 cpu, i64 arrive, i64 entry, i64 exit, int polled)
{
	struct eager *e = &S->eager[cpu];

	e->arrive = arrive;
	e->entry = entry;
	e->exit = exit;
	e->polled = polled;
	push(S, max64(KEY(arrive, CLASS_ARRIVAL, cpu), S->now), ARRIVAL, cpu);
}

static void irqs_on_at(struct sim *S, struct task *task)
{
	struct eager *e = &S->eager[task->cpu];

	e->irqs_off = 0;
	if (e->deferred) {
		e->deferred = 0;
		e->value = task->met;
		push_now(S, DEFERRED, task->cpu);
	}
}

// --- tasks

static int ready(struct sim *S, struct task *task)
{
	i64 stolen = S->eager[task->cpu].stolen;
	i64 t = task->met + task->work + stolen - task->seen_stolen;

	if (pending(S, KEY(t, CLASS_MEETING, task->cpu)))
		return 0;
	task->met = t;
	task->work = 0;
	task->seen_stolen = stolen;
	return 1;
}

#define BLOCK() \
	do { \
		task->line = __LINE__; \
		return; \
	case __LINE__:; \
	} while (0)

#define WAIT(key_) \
	do { \
		push(S, key_, TASK, who); \
		BLOCK(); \
	} while (0)

#define MEET() \
	while (!ready(S, task)) { \
		task->saw = S->eager[task->cpu].stolen; \
		task->goal = task->met + task->work + task->saw - task->seen_stolen; \
		WAIT(KEY(task->goal, CLASS_MEETING, task->cpu)); \
		if (S->eager[task->cpu].stolen == task->saw) { \
			task->met = task->goal; \
			task->work = 0; \
			task->seen_stolen = task->saw; \
			break; \
		} \
	}

#define WAIT_UNTIL(t_) \
	do { \
		task->until = max64(t_, task->met); \
		for (;;) { \
			if (pending(S, KEY(task->until, CLASS_MEETING, task->cpu))) \
				WAIT(KEY(task->until, CLASS_MEETING, task->cpu)); \
			if (S->cpus[task->cpu].busy_until <= task->until) \
				break; \
			task->until = S->cpus[task->cpu].busy_until; \
		} \
		task->met = task->until; \
		task->seen_stolen = S->eager[task->cpu].stolen; \
	} while (0)

static void send_all(struct sim *S, struct task *task)
{
	const struct machine *M = &S->M;
	i64 me = task->cpu, t = task->met;
	const i8 *near = M->distance + me * M->n;
	u64 inject_key = flush_key(M, AT_COSTS_inject, me, task->nth);
	u64 deliver_key = flush_key(M, AT_COSTS_deliver, me, task->nth);
	u64 entry_key = flush_key(M, AT_COSTS_handler_entry, me, task->nth);
	u64 exit_key = flush_key(M, AT_COSTS_handler_exit, me, task->nth);
	i64 nr = write_order(M, task->wanted, me, task->nr_wanted, S->order, S->begins);

	for (i64 i = 0; i < nr; i++) {
		i64 cpu = S->order[i];

		if (S->begins[i])
			t += M->send_ns;
		t += drawn(M, AT_COSTS_inject, near, inject_key, cpu);
		send_ipi(S, cpu, t + drawn(M, AT_COSTS_deliver, near, deliver_key, cpu),
			 drawn(M, AT_COSTS_handler_entry, near, entry_key, cpu),
			 drawn(M, AT_COSTS_handler_exit, near, exit_key, cpu), 0);
	}
	task->work += t - task->met;
}

// The only CPU to be interrupted polls: it gets a flag instead.
static int wake_polling(struct sim *S, struct task *task)
{
	const struct machine *M = &S->M;
	i64 cpu = 0, me = task->cpu;

	while (!task->wanted[cpu])
		cpu++;
	if (S->eager[cpu].task >= 0 || !polls(M, &S->cpus[cpu], cpu, task->met))
		return 0;
	const i8 *near = M->distance + me * M->n;
	u64 exit_key = flush_key(M, AT_COSTS_handler_exit, me, task->nth);
	send_ipi(S, cpu, task->met + S->line_ns[near[cpu]], M->poll_wake_ns,
		 drawn(M, AT_COSTS_handler_exit, near, exit_key, cpu), 1);
	return 1;
}

static void task_goes_on(struct sim *S, int who)
{
	struct task *task = &S->tasks[who];
	const struct machine *M = &S->M;
	i64 n = M->n, me = task->cpu;
	const i8 *near = M->distance + me * n;
	struct eager *e = &S->eager[me];

	switch (task->line) {
	case 0:
	for (task->nth = 0; task->nth < S->nr_flushes; task->nth++) {
		task->work += S->think_ns;
		MEET();
		task->start = task->met;
		task->work += M->base_ns;
		task->key = flush_key(M, AT_COSTS_enqueue, me, task->nth);
		task->nr_wanted = 0;
		task->wanted[me] = 0;
		for (task->i = 0; task->i < n; task->i++) {
			if (task->i == me)
				continue;
			task->work += drawn(M, AT_COSTS_enqueue, near, task->key, task->i);
			MEET();
			struct eager *target = &S->eager[task->i];
			task->csds[task->i] = (struct csd){ task->met, -1 };
			task->wanted[task->i] = target->queued == 0;
			task->nr_wanted += target->queued == 0;
			S->queue[task->i * S->nr_tasks + target->queued++] = who;
		}
		if (task->nr_wanted == 1)
			MEET();
		if (task->nr_wanted && !(task->nr_wanted == 1 && wake_polling(S, task))) {
			MEET();
			e->irqs_off = 1;
			send_all(S, task);
			MEET();
			irqs_on_at(S, task);
		}
		MEET();
		e->irqs_off = 1;
		task->work += S->run_ns;
		MEET();
		irqs_on_at(S, task);

		task->key = flush_key(M, AT_COSTS_ack, me, task->nth);
		for (task->i = 0; task->i < n; task->i++) {
			if (task->i == me)
				continue;
			if (task->csds[task->i].release < 0) {
				MEET();
				if (task->csds[task->i].release < 0) {
					task->waits_for = task->i;
					BLOCK();
					WAIT_UNTIL(task->csds[task->i].release);
				}
			}
			if (task->csds[task->i].release > task->met + task->work) {
				MEET();
				WAIT_UNTIL(task->csds[task->i].release);
			}
			task->work += drawn(M, AT_COSTS_ack, near, task->key, task->i);
		}
		MEET();
		S->r->latency_ns[who * S->nr_flushes + task->nth] = task->met - task->start;
		task->work += S->refill_ns;
	}
	MEET();
	e->task = -1;
	S->cpus[me].busy_until = max64(S->cpus[me].busy_until, task->met);
	}
}

static void happen(struct sim *S, struct event event)
{
	switch (event.what) {
	case ARRIVAL:
		arrival(S, event.who);
		break;
	case DRAIN:
		drain(S, event.who);
		break;
	case TASK:
		task_goes_on(S, event.who);
		break;
	case DEFERRED:
		start_handler(S, event.who, S->eager[event.who].value);
		break;
	}
}

int heap(const i64 *m, const i8 *distance, const i64 *task_cpus, i64 nr_tasks, i64 nr_flushes,
	 i64 think_ns, i64 run_ns, i64 refill_ns, const i64 *line_ns, struct results *r)
{
	struct sim sim = { .nr_tasks = nr_tasks, .nr_flushes = nr_flushes, .think_ns = think_ns,
			   .run_ns = run_ns, .refill_ns = refill_ns, .line_ns = line_ns, .r = r };
	struct sim *S = &sim;

	decode(&S->M, m, distance);
	i64 n = S->M.n;
	S->cpus = aligned_alloc(64, n * sizeof(*S->cpus));
	S->eager = calloc(n, sizeof(*S->eager));
	S->tasks = calloc(nr_tasks, sizeof(*S->tasks));
	S->queue = calloc(n * nr_tasks, sizeof(*S->queue));
	S->heap = malloc((n + nr_tasks + 2) * sizeof(*S->heap));
	S->soon = malloc((n + 2 * nr_tasks) * sizeof(*S->soon));
	S->order = malloc(n * sizeof(*S->order));
	S->begins = malloc(n);
	if (!S->cpus || !S->eager || !S->tasks || !S->queue || !S->heap || !S->soon || !S->order ||
	    !S->begins)
		return -1;
	memset(S->cpus, 0, n * sizeof(*S->cpus));
	for (i64 cpu = 0; cpu < n; cpu++)
		S->eager[cpu].task = -1;
	for (int i = 0; i < nr_tasks; i++) {
		struct task *task = &S->tasks[i];

		task->cpu = task_cpus[i];
		task->waits_for = -1;
		task->csds = calloc(n, sizeof(*task->csds));
		task->wanted = calloc(n, 1);
		if (!task->csds || !task->wanted)
			return -1;
		S->eager[task->cpu].task = i;
		push_now(S, TASK, i);
	}
	for (;;) {
		if (S->first_soon < S->nr_soon) {
			happen(S, S->soon[S->first_soon++]);
			if (S->first_soon == S->nr_soon)
				S->first_soon = S->nr_soon = 0;
		} else if (S->nr_events) {
			struct event event = pop(S);

			S->now = event.key;
			happen(S, event);
		} else {
			break;
		}
	}
	report(&S->M, S->cpus, r);
	for (i64 i = 0; i < nr_tasks; i++) {
		free(S->tasks[i].csds);
		free(S->tasks[i].wanted);
	}
	free(S->cpus);
	free(S->eager);
	free(S->tasks);
	free(S->queue);
	free(S->heap);
	free(S->soon);
	free(S->order);
	free(S->begins);
	return 0;
}
