import type { Log } from '../platform/log.ts';
import { parseWorkItem } from '../queue/work-item.ts';
import { handleEach, type QueueLambdaResult, queueLambdaEventSchema } from './queue-event.ts';

export interface BatchWork {
  readonly kind: 'event' | 'action';
  /** True when the work is mostly waiting: the batch then takes as long as its slowest message, not as all of them. */
  readonly atOnce: boolean;
  readonly log: Log;
  readonly work: (id: string) => Promise<void>;
}

/**
 * Works on one batch of a queue function. A batch of another shape throws; a message that is no work item, or of the
 * other kind, fails by itself and ends in the dead-letter queue, since it can only fail again and someone must look.
 * Messages that name the same work, as hints may, are one piece of work.
 */
export async function handleWorkBatch(
  event: unknown,
  { kind, atOnce, log, work }: BatchWork,
): Promise<QueueLambdaResult> {
  const batch = queueLambdaEventSchema.parse(event);
  const begun = new Map<string, Promise<void>>();
  const workOnce = (id: string): Promise<void> => {
    const running = begun.get(id) ?? work(id);
    begun.set(id, running);
    return running;
  };
  return handleEach(batch.Records, {
    atOnce,
    handle: async (record) => {
      const parsed = parseWorkItem(record.body);
      if (!parsed.ok) throw new Error(`the message is no work item: ${parsed.detail}`);
      if (parsed.item.kind !== kind)
        throw new Error(`the message names an ${parsed.item.kind}, not an ${kind}`);
      await workOnce(parsed.item.id);
    },
    onFailure: (record, error) =>
      log('error', 'message failed, it comes again', {
        messageId: record.messageId,
        receiveCount: record.attributes.ApproximateReceiveCount,
        kind,
        code: error instanceof Error && 'code' in error ? String(error.code) : null,
        error: String(error),
      }),
  });
}
