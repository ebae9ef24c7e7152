// SPDX-License-Identifier: MIT
// One task: a flush is a walk over the targets, there is nothing to be ordered. The limit.

#include "rules.h"

int recursion(const i64 *m, const i8 *distance, i64 me, i64 nr_flushes, i64 think_ns, i64 run_ns,
	      i64 refill_ns, i64 line_ns, struct results *r)
{
	struct machine machine, *M = &machine;

	decode(M, m, distance);
	i64 n = M->n, nr_writes = 0, t = 0;
	struct cpu *cpus = aligned_alloc(64, n * sizeof(*cpus));
	i64 *release = malloc(n * sizeof(i64)), *enqueued = malloc(n * sizeof(i64));
	i64 *order = malloc(n * sizeof(i64));
	i8 *begins = malloc(n), *wanted = malloc(n);
	const i8 *near = distance + me * n;

	if (!cpus || !release || !enqueued || !order || !begins || !wanted)
		return -1;
	memset(cpus, 0, n * sizeof(*cpus));
	memset(wanted, 1, n);
	wanted[me] = 0;
	i64 nr = write_order(M, wanted, me, n - 1, order, begins);
	for (i64 i = 0; i < nr; i++)
		nr_writes += begins[i];

	for (i64 nth = 0; nth < nr_flushes; nth++) {
		t += think_ns;
		i64 start = t;
		t += M->base_ns;
		u64 key = flush_key(M, AT_COSTS_enqueue, me, nth);
		for (i64 cpu = 0; cpu < n; cpu++) {
			if (cpu == me)
				continue;
			t += drawn(M, AT_COSTS_enqueue, near, key, cpu);
			enqueued[cpu] = t;
		}
		int polled = n == 2 && polls(M, &cpus[1 - me], 1 - me, t);
		u64 inject_key = flush_key(M, AT_COSTS_inject, me, nth);
		u64 deliver_key = flush_key(M, AT_COSTS_deliver, me, nth);
		u64 entry_key = flush_key(M, AT_COSTS_handler_entry, me, nth);
		u64 exit_key = flush_key(M, AT_COSTS_handler_exit, me, nth);
		for (i64 i = 0; i < nr; i++) {
			i64 cpu = order[i], state, arrive, entry;
			struct cpu *c = &cpus[cpu];

			if (UNLIKELY(polled)) {
				arrive = t + line_ns;
				entry = M->poll_wake_ns;
			} else {
				if (begins[i])
					t += M->send_ns;
				t += drawn(M, AT_COSTS_inject, near, inject_key, cpu);
				arrive = t + drawn(M, AT_COSTS_deliver, near, deliver_key, cpu);
				entry = drawn(M, AT_COSTS_handler_entry, near, entry_key, cpu);
			}
			i64 begin = answer(M, c, cpu, arrive, polled, &state);
			i64 released = begin + entry + run_ns;
			i64 end = released + drawn(M, AT_COSTS_handler_exit, near, exit_key, cpu);

			release[cpu] = released;
			count(r->ack, released - enqueued[cpu]);
			settle(c, r->handler, state, end - begin, end);
			if (UNLIKELY(state == AT_FOUND_irqs_off))
				c->irqs_off_delay_ns += begin - arrive;
		}
		t += run_ns;
		key = flush_key(M, AT_COSTS_ack, me, nth);
		for (i64 cpu = 0; cpu < n; cpu++) {
			if (cpu == me)
				continue;
			t = max64(t, release[cpu]) + drawn(M, AT_COSTS_ack, near, key, cpu);
		}
		if (r->releases)
			for (i64 cpu = 0; cpu < n; cpu++)
				if (cpu != me)
					*r->releases += release_term(me, nth, cpu, release[cpu]);
		r->latency_ns[nth] = t - start;
		t += refill_ns;
	}
	for (i64 cpu = 0; cpu < n; cpu++)
		cpus[cpu].refill_ns = cpu == me ? 0 : nr_flushes * refill_ns;
	report(M, cpus, r);
	free(cpus);
	free(release);
	free(enqueued);
	free(order);
	free(begins);
	free(wanted);
	return 0;
}
