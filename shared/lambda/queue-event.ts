import { z } from 'zod';

/**
 * A batch of queue messages as Lambda hands it over, as far as simhook reads it.
 * Source: AWS Lambda developer guide, "Using Lambda with Amazon SQS".
 */
export const queueLambdaEventSchema = z.object({
  Records: z.array(
    z.object({
      messageId: z.string().min(1),
      body: z.string(),
      attributes: z
        .object({ ApproximateReceiveCount: z.string().default('1') })
        .default({ ApproximateReceiveCount: '1' }),
    }),
  ),
});
export type QueueLambdaEvent = z.infer<typeof queueLambdaEventSchema>;
export type QueueRecord = QueueLambdaEvent['Records'][number];

/** Messages that must come again; those that are not named are done. Needs ReportBatchItemFailures on the mapping. */
export interface QueueLambdaResult {
  readonly batchItemFailures: readonly { readonly itemIdentifier: string }[];
}

/**
 * Handles each record by itself, so that one that fails does not take the others with it. `handle` throws for what
 * must be delivered again, and only for that.
 */
export async function handleEach(
  records: readonly QueueRecord[],
  handle: (record: QueueRecord) => Promise<void>,
  onFailure: (record: QueueRecord, error: unknown) => void,
): Promise<QueueLambdaResult> {
  const batchItemFailures: { itemIdentifier: string }[] = [];
  for (const record of records) {
    try {
      await handle(record);
    } catch (error) {
      onFailure(record, error);
      batchItemFailures.push({ itemIdentifier: record.messageId });
    }
  }
  return { batchItemFailures };
}
