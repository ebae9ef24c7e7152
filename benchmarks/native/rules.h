// SPDX-License-Identifier: MIT
// The rules of simulator/engine/cpu.py for CPUs without a task, and the draws of
// simulator/machine/{draws,tables,spells}.py, in C. The machine comes as the flat array of
// simulator/engine/compiled/flat, whose offsets the compiler is given as AT_*.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int64_t i64;
typedef uint64_t u64;
typedef int8_t i8;

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

static inline i64 max64(i64 a, i64 b) { return a > b ? a : b; }
static inline i64 min64(i64 a, i64 b) { return a < b ? a : b; }

static inline u64 mix64(u64 z)
{
	z += 0x9E3779B97F4A7C15u;
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

static inline i64 quantile(const i64 *table, u64 x)
{
	u64 at = x >> 54;
	i64 fraction;

	if (UNLIKELY(at == 1023)) {
		at += (x >> 44) & 0x3FF;
		fraction = (x >> 28) & 0xFFFF;
	} else {
		fraction = (x >> 38) & 0xFFFF;
	}
	return table[at] + (((table[at + 1] - table[at]) * fraction + 0x8000) >> 16);
}

struct cost {
	const i64 *table; // NULL: no spread
	i64 mean_fp[4];
	i64 mean_ns[4];
	u64 key;
};

struct spell {
	i64 frame, mean_fp;
	const i64 *length;
	u64 key, threshold;
	const i64 *phase;
};

struct machine {
	i64 n, mode, shorthand, base_ns, send_ns, poll_wake_ns, contention_ns, nr_idle_states;
	const i64 *idle_states, *apic_id, *next_in_cluster;
	struct cost cost[6];
	struct spell spell[3];
	u64 start_key, length_key;
	const i8 *distance;
};

static void decode(struct machine *M, const i64 *m, const i8 *distance)
{
	M->n = m[AT_M_nr_cpus];
	M->mode = m[AT_M_mode];
	M->shorthand = m[AT_M_shorthand];
	M->base_ns = m[AT_M_base_ns];
	M->send_ns = m[AT_M_send_ns];
	M->poll_wake_ns = m[AT_M_poll_wake_ns];
	M->contention_ns = m[AT_M_contention_ns];
	M->nr_idle_states = m[AT_M_nr_idle_states];
	M->idle_states = m + m[AT_M_idle_states];
	M->apic_id = m + m[AT_M_apic];
	M->next_in_cluster = m + m[AT_M_next_in_cluster];
	M->start_key = m[AT_M_start_key];
	M->length_key = m[AT_M_length_key];
	M->distance = distance;
	for (int i = 0; i < 6; i++) {
		const i64 *row = m + AT_M_costs + i * AT_COST_words;

		M->cost[i].table = row[0] < 0 ? NULL : m + row[0];
		for (int d = 0; d < 4; d++) {
			M->cost[i].mean_fp[d] = row[1 + d];
			M->cost[i].mean_ns[d] = (row[1 + d] + 512) >> 10;
		}
		M->cost[i].key = m[AT_M_cost_keys + i];
	}
	for (int i = 0; i < 3; i++) {
		const i64 *row = m + AT_M_spells + i * AT_SPELL_words;

		M->spell[i].frame = row[AT_SPELL_frame_ns];
		M->spell[i].mean_fp = row[AT_SPELL_mean_fp];
		M->spell[i].length = row[AT_SPELL_length] < 0 ? NULL : m + row[AT_SPELL_length];
		M->spell[i].key = row[AT_SPELL_key];
		M->spell[i].threshold = row[AT_SPELL_threshold];
		M->spell[i].phase = m + m[AT_M_phases] + i * M->n;
	}
}

static inline u64 flush_key(const struct machine *M, int row, i64 me, i64 nth)
{
	return mix64(mix64(M->cost[row].key + me) + nth);
}

// The cost of a row from a CPU, whose distances are `near`, to another.
static inline i64 drawn(const struct machine *M, int row, const i8 *near, u64 key, i64 cpu)
{
	const struct cost *c = &M->cost[row];

	if (!c->table)
		return c->mean_ns[near[cpu]];
	return (c->mean_fp[near[cpu]] * quantile(c->table, mix64(key + cpu)) + (1 << 25)) >> 26;
}

// A CPU: one cache line for every interrupt, one for what is rarer.
struct cpu {
	i64 busy_until;
	i64 found; // the state in which its last interrupt found it
	i64 handler_ns;
	i64 awake_from, awake_until; // in between it neither idles nor is preempted
	i64 refill_ns, idle_woken, irqs_off_delay_ns;
} __attribute__((aligned(64)));

struct frame {
	i64 begin; // of the frame
	u64 x;     // its draw
};

static inline struct frame frame_of(const struct machine *M, int kind, i64 cpu, i64 t)
{
	const struct spell *s = &M->spell[kind];
	i64 since = t + s->phase[cpu];
	i64 number = since / s->frame; // t may be -1, before a frame that begins at 0

	if (since % s->frame < 0)
		number--;
	struct frame f = { t - (since - number * s->frame), mix64(mix64(s->key + number) + cpu) };
	return f;
}

static inline int has_spell(const struct machine *M, int kind, u64 x)
{
	return (x >> 1) < M->spell[kind].threshold;
}

// Whether a spell of a class covers a time, and until when that remains so.
static int timed_spell(const struct machine *M, int kind, i64 cpu, i64 t, i64 *until)
{
	const struct spell *s = &M->spell[kind];
	struct frame f = frame_of(M, kind, cpu, t);

	*until = f.begin + s->frame;
	if (!has_spell(M, kind, f.x))
		return 0;
	i64 from = ((mix64(f.x ^ M->start_key) >> 32) * (u64)s->frame) >> 32;
	i64 to = from + ((quantile(s->length, mix64(f.x ^ M->length_key)) * s->mean_fp + (1 << 25)) >> 26);

	to = f.begin + min64(to, s->frame);
	from += f.begin;
	if (t < from)
		*until = from;
	else if (t < to)
		*until = to;
	return from <= t && t < to;
}

// Since when a CPU idles at a time, or -1; until when that holds.
static i64 idle_since(const struct machine *M, i64 cpu, i64 t, i64 *until)
{
	struct frame f = frame_of(M, AT_SPELLS_idle, cpu, t);
	i64 frame = M->spell[AT_SPELLS_idle].frame;

	*until = f.begin + frame;
	if (!has_spell(M, AT_SPELLS_idle, f.x))
		return -1;
	if (has_spell(M, AT_SPELLS_idle, frame_of(M, AT_SPELLS_idle, cpu, f.begin - 1).x))
		f.begin -= frame;
	return max64(0, f.begin);
}

// The C-state (exit, residency, polling) that a CPU has reached at a time, or NULL.
static const i64 *idle_state(const struct machine *M, i64 since, i64 t, i64 busy_until)
{
	const i64 *found = M->idle_states;

	if (since < 0)
		return NULL;
	for (i64 i = 0; i < M->nr_idle_states; i++)
		if (M->idle_states[3 * i + 1] <= t - max64(since, busy_until))
			found = M->idle_states + 3 * i;
	return found;
}

static int polls(const struct machine *M, const struct cpu *c, i64 cpu, i64 t)
{
	i64 until;

	if (c->busy_until > t)
		return 0;
	const i64 *state = idle_state(M, idle_since(M, cpu, t, &until), t, c->busy_until);
	return state && state[2];
}

// Past a preemption, if any, a CPU may have interrupts off.
static inline i64 irqs_on(const struct machine *M, i64 cpu, i64 t, i64 *state)
{
	i64 until;
	struct frame f = frame_of(M, AT_SPELLS_irqs_off, cpu, t);

	if (LIKELY(!has_spell(M, AT_SPELLS_irqs_off, f.x)))
		return t;
	if (!timed_spell(M, AT_SPELLS_irqs_off, cpu, t, &until))
		return t;
	if (*state == AT_FOUND_running)
		*state = AT_FOUND_irqs_off;
	return until;
}

static i64 answer_slowly(const struct machine *M, struct cpu *c, i64 cpu, i64 t, int polled, i64 *state)
{
	i64 idle_until, until;

	if (c->busy_until > t) {
		*state = c->found == AT_FOUND_idle ? AT_FOUND_idle : AT_FOUND_running;
		return c->busy_until;
	}
	const i64 *idle = idle_state(M, idle_since(M, cpu, t, &idle_until), t, c->busy_until);
	if (idle) {
		*state = AT_FOUND_idle;
		return t + (polled ? 0 : idle[0]);
	}
	*state = AT_FOUND_running;
	until = idle_until;
	if (M->spell[AT_SPELLS_preempted].threshold &&
	    timed_spell(M, AT_SPELLS_preempted, cpu, t, &until)) {
		*state = AT_FOUND_preempted;
		t = until;
	} else {
		c->awake_from = t;
		c->awake_until = min64(idle_until, until);
	}
	return irqs_on(M, cpu, t, state);
}

// When the handler of an interrupt that comes at a time starts, and the state that it finds.
static inline i64 answer(const struct machine *M, struct cpu *c, i64 cpu, i64 t, int polled, i64 *state)
{
	if (LIKELY(c->busy_until <= t && c->awake_from <= t && t < c->awake_until)) {
		*state = AT_FOUND_running;
		return irqs_on(M, cpu, t, state);
	}
	return answer_slowly(M, c, cpu, t, polled, state);
}

// Log-linear buckets of simulator/trace/tables.py.
static inline void count(i64 *hist, i64 ns)
{
	int octave = 63 - __builtin_clzll(ns | 1) - 7;

	if (octave <= 0)
		hist[ns]++;
	else
		hist[((i64)octave << 7) + (ns >> octave)]++;
}

static inline void settle(struct cpu *c, i64 *hist, i64 state, i64 handler_ns, i64 end)
{
	c->busy_until = end;
	c->found = state;
	c->handler_ns += handler_ns;
	count(hist, handler_ns);
	if (UNLIKELY(state == AT_FOUND_idle))
		c->idle_woken++;
}

static inline u64 release_term(i64 me, i64 nth, i64 cpu, i64 release)
{
	return mix64(mix64((u64)nth << 24 | me << 12 | cpu) + release);
}

// Where the results go: arrays of the caller.
struct results {
	i64 *latency_ns, *handler_ns, *refill_ns, *idle_woken, *irqs_off_delay_ns, *ack, *handler;
	u64 *releases; // a checksum, or NULL
};

static void report(const struct machine *M, const struct cpu *cpus, struct results *r)
{
	for (i64 cpu = 0; cpu < M->n; cpu++) {
		r->handler_ns[cpu] = cpus[cpu].handler_ns;
		r->refill_ns[cpu] = cpus[cpu].refill_ns;
		r->idle_woken[cpu] = cpus[cpu].idle_woken;
		r->irqs_off_delay_ns[cpu] = cpus[cpu].irqs_off_delay_ns;
	}
}

// The destinations among `wanted`, in the order of their interrupts; `begins` marks each write.
static i64 write_order(const struct machine *M, i8 *wanted, i64 me, i64 nr_wanted, i64 *order, i8 *begins)
{
	i64 nr = 0, low = -1, high = -1;

	if (M->shorthand && nr_wanted == M->n - 1) {
		for (i64 cpu = 0; cpu < M->n; cpu++) {
			if (cpu == me)
				continue;
			begins[nr] = nr == 0;
			order[nr++] = cpu;
		}
		return nr;
	}
	for (i64 cpu = 0; cpu < M->n; cpu++) {
		if (!wanted[cpu])
			continue;
		if (M->mode == 1) { // clusters of 16 ids
			i8 first = 1;

			for (i64 other = cpu; other >= 0; other = M->next_in_cluster[other]) {
				if (!wanted[other])
					continue;
				wanted[other] = 0;
				begins[nr] = first;
				first = 0;
				order[nr++] = other;
			}
			continue;
		}
		i8 begin = 1;
		if (M->mode == 2) { // a bitmap of 128 ids
			i64 this = M->apic_id[cpu];

			begin = 0;
			if (nr > 0 && this < low && high - this < 128)
				low = this;
			else if (nr > 0 && low < this && this < low + 128)
				high = max64(high, this);
			else {
				begin = 1;
				low = high = this;
			}
		}
		begins[nr] = begin;
		order[nr++] = cpu;
	}
	return nr;
}
