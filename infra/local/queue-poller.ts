import type { QueueLambdaEvent, QueueLambdaResult } from '../../shared/lambda/queue-event.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';

/** What runs on a queue: the same function that Lambda runs. */
export type QueueHandler = (event: QueueLambdaEvent) => Promise<QueueLambdaResult>;

export interface QueueSource {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly batchSize: number;
  readonly handler: QueueHandler;
}

/**
 * One turn of the event source mapping: receives a batch, runs the handler, acknowledges what it did not report as
 * failed. What failed becomes visible again after the queue's visibility time-out. Returns the number of messages.
 */
export async function pollOnce(source: QueueSource): Promise<number> {
  const messages = await source.queue.receive(source.batchSize);
  if (messages.length === 0) return 0;
  const { batchItemFailures } = await source.handler({
    Records: messages.map((message) => ({
      messageId: message.messageId,
      body: message.body,
      attributes: { ApproximateReceiveCount: String(message.receiveCount) },
    })),
  });
  const failed = new Set(batchItemFailures.map((failure) => failure.itemIdentifier));
  const done = messages.filter((message) => !failed.has(message.messageId)).map((message) => message.receipt);
  if (done.length > 0) await source.queue.acknowledge(done);
  return messages.length;
}

export interface Poller {
  /** Ends after the batch in hand. */
  stop(): Promise<void>;
}

/** Polls until stopped; `wake` is called by whoever sends, so that work starts at once. */
export function startPoller(
  source: QueueSource,
  options: { readonly idleMs: number; readonly onError: (error: unknown) => void },
): Poller & { wake(): void } {
  let stopped = false;
  let wakeUp: () => void = () => undefined;
  const idle = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, options.idleMs);
      wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const running = (async () => {
    while (!stopped) {
      const handled = await pollOnce(source).catch((error: unknown) => {
        options.onError(error);
        return 0;
      });
      if (handled === 0 && !stopped) await idle();
    }
  })();
  return {
    wake: () => wakeUp(),
    stop: async () => {
      stopped = true;
      wakeUp();
      await running;
    },
  };
}
