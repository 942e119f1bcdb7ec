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

export interface EachRecord {
  /** Throws for what must be delivered again, and only for that. */
  readonly handle: (record: QueueRecord) => Promise<void>;
  readonly onFailure: (record: QueueRecord, error: unknown) => void;
  /** All at once, or one after the other. */
  readonly atOnce: boolean;
}

/** Handles each record by itself, so that one that fails does not take the others with it. */
export async function handleEach(
  records: readonly QueueRecord[],
  { handle, onFailure, atOnce }: EachRecord,
): Promise<QueueLambdaResult> {
  const batchItemFailures: { itemIdentifier: string }[] = [];
  const one = async (record: QueueRecord): Promise<void> => {
    try {
      await handle(record);
    } catch (error) {
      onFailure(record, error);
      batchItemFailures.push({ itemIdentifier: record.messageId });
    }
  };
  if (atOnce) await Promise.all(records.map(one));
  else for (const record of records) await one(record);
  return { batchItemFailures };
}
