import { type MemoryWorkQueue, memoryWorkQueue } from '../support/memory-work-queue.ts';
import { testClock } from '../support/test-clock.ts';
import {
  benchSettings,
  describeEmbeddedWorkQueue,
  describeWorkQueue,
  type QueueBench,
  type Retentions,
} from './work-queue-contract.ts';

function makeBench(retentions: Partial<Retentions> = {}): QueueBench {
  const clock = testClock(1_800_000_000_000);
  const open = (
    name: string,
    deadLetter: MemoryWorkQueue | null,
    retentionSec: number = benchSettings.retentionSec,
  ): MemoryWorkQueue =>
    memoryWorkQueue({ name, deadLetter, settings: { ...benchSettings, retentionSec }, now: clock.now });
  const deadLetter = open('work-dead', null, retentions.deadRetentionSec);
  return {
    queue: open('work', deadLetter, retentions.retentionSec),
    deadLetter,
    pass: async (ms) => clock.pass(ms),
    now: clock.now,
    close: async () => undefined,
  };
}

describeWorkQueue('work queue in memory', async () => makeBench());
describeEmbeddedWorkQueue('work queue in memory, beyond the port', async (retentions) =>
  makeBench(retentions),
);
