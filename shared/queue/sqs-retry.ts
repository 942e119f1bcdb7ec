import type { Random } from '../platform/random.ts';
import { QueueError } from './errors.ts';

export interface SqsRetry {
  /** Tries of one call, 1 to 6. */
  readonly tries: number;
  readonly random: Random;
  readonly sleep: (ms: number) => Promise<void>;
}

/** Tries of one call. The pauses between them take 0.7 s on average and 1.4 s at most. */
export const triesMax = 6;
const pauseBaseMs = 50;
const pauseMaxMs = 800;

/** Source: SQS API reference, "Common errors", and SendMessage, errors. */
const throttled = new Set([
  'RequestThrottled',
  'ThrottlingException',
  'Throttling',
  'KmsThrottled',
  'OverLimit',
]);

/**
 * Repeats a call while repeating helps, at most `tries` times, with full jitter between. A repeated send may send twice,
 * which the queue allows. The only retry layer above SQS. Throws QueueError `unavailable`.
 */
export async function withRetries<T>(retry: SqsRetry, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (error instanceof TypeError || error instanceof RangeError || error instanceof QueueError)
        throw error;
      if (attempt >= retry.tries || !mayRepeat(error)) throw unavailable(error, attempt, retry.tries);
      await pause(retry, attempt);
    }
  }
}

/** Full jitter: any time from 0 to a bound that doubles. Source: AWS Architecture Blog, "Exponential Backoff And Jitter". */
export function pause(retry: SqsRetry, attempt: number): Promise<void> {
  return retry.sleep(retry.random.integer(0, Math.min(pauseMaxMs, pauseBaseMs * 2 ** (attempt - 1))));
}

/** Throttling, a fault of the service, an unreadable answer or none; a refusal would come again. */
function mayRepeat(error: unknown): boolean {
  if (!(error instanceof Error) || error.name === 'CredentialsProviderError') return false;
  if (throttled.has(error.name)) return true;
  const metadata: unknown = '$metadata' in error ? error.$metadata : null;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return true;
  const status = metadata.httpStatusCode;
  return typeof status !== 'number' || status >= 500 || status < 300;
}

function unavailable(error: unknown, attempts: number, tries: number): QueueError {
  const name = error instanceof Error ? error.name : typeof error;
  return new QueueError(
    'unavailable',
    `SQS failed after ${attempts} of ${tries} tries with ${name}; check the queue's URL, its region and the permissions of this role, or try again later`,
    { cause: error },
  );
}
