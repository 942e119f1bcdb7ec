import type { Log } from '../platform/log.ts';
import { parseWorkItem } from '../queue/work-item.ts';
import { handleEach, type QueueLambdaResult, queueLambdaEventSchema } from './queue-event.ts';

/**
 * Works on one batch of a queue function. A batch of another shape throws; a message that is no work item, or of the
 * other kind, fails by itself and ends in the dead-letter queue, since it can only fail again and someone must look.
 */
export async function handleWorkBatch(
  event: unknown,
  kind: 'event' | 'action',
  log: Log,
  work: (id: string) => Promise<void>,
): Promise<QueueLambdaResult> {
  const batch = queueLambdaEventSchema.parse(event);
  return handleEach(
    batch.Records,
    async (record) => {
      const parsed = parseWorkItem(record.body);
      if (!parsed.ok) throw new Error(`the message is no work item: ${parsed.detail}`);
      if (parsed.item.kind !== kind)
        throw new Error(`the message names an ${parsed.item.kind}, not an ${kind}`);
      await work(parsed.item.id);
    },
    (record, error) =>
      log('error', 'message failed, it comes again', {
        messageId: record.messageId,
        receiveCount: record.attributes.ApproximateReceiveCount,
        kind,
        code: error instanceof Error && 'code' in error ? String(error.code) : null,
        error: String(error),
      }),
  );
}
