import type { Random } from '../platform/random.ts';
import { StoreError } from './errors.ts';

export interface DynamoRetry {
  readonly random: Random;
  readonly sleep: (ms: number) => Promise<void>;
}

/** Tries of one call. With the pauses below they take 1.3 s on average, 2.6 s at most, plus the calls themselves. */
export const triesMax = 8;
const pauseBaseMs = 25;
const pauseMaxMs = 1_000;

/**
 * What a failed call means: `not-executed` certainly changed nothing, `unknown` may have been carried out although
 * no answer came, `final` would fail again.
 */
type Fault = 'not-executed' | 'unknown' | 'final';

/** Source: DynamoDB developer guide, "Error handling with DynamoDB"; API reference, TransactWriteItems, errors. */
const notExecutedNames = new Set([
  'ThrottlingException',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'TransactionConflictException',
  'TransactionCanceledException',
  'TransactionInProgressException',
  'RequestTimeTooSkewed',
]);
const notConnectedCodes = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/** What a later try must know of the earlier ones. */
export interface Tries {
  /** True when an earlier try may have been carried out although its answer was lost. */
  readonly lost: boolean;
}

/**
 * Repeats a call while repeating helps, at most 8 times, with full jitter between. The only retry layer above
 * DynamoDB. Throws StoreError `unavailable` when the tries are used up or the fault stays.
 */
export async function withRetries<T>(retry: DynamoRetry, call: (tries: Tries) => Promise<T>): Promise<T> {
  let lost = false;
  for (let attempt = 1; ; attempt++) {
    try {
      return await call({ lost });
    } catch (error) {
      const fault = faultOf(error);
      if (fault === 'final') throw explained(error);
      lost ||= fault === 'unknown';
      if (attempt >= triesMax) throw usedUp(error, lost);
      await retry.sleep(pauseMs(retry.random, attempt));
    }
  }
}

/** Full jitter: any time from 0 to a bound that doubles. Source: AWS Architecture Blog, "Exponential Backoff And Jitter". */
export function pauseMs(random: Random, attempt: number): number {
  return random.integer(0, Math.min(pauseMaxMs, pauseBaseMs * 2 ** (attempt - 1)));
}

function faultOf(error: unknown): Fault {
  if (!(error instanceof Error) || error instanceof StoreError) return 'final';
  if (notExecutedNames.has(error.name)) return 'not-executed';
  const status = statusOf(error);
  if (status !== null) return status >= 500 || status < 300 ? 'unknown' : 'final';
  if ('code' in error && typeof error.code === 'string' && notConnectedCodes.has(error.code))
    return 'not-executed';
  // Without an answer: the connection broke or timed out. Faults of the program and missing credentials stay.
  const stays =
    error instanceof TypeError || error instanceof RangeError || error.name === 'CredentialsProviderError';
  return stays ? 'final' : 'unknown';
}

/** The HTTP status of an answer; a status below 300 comes with an answer that could not be read. */
function statusOf(error: Error): number | null {
  const metadata: unknown = '$metadata' in error ? error.$metadata : null;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return null;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : null;
}

function usedUp(error: unknown, lost: boolean): StoreError {
  const name = error instanceof Error ? error.name : typeof error;
  const effect = lost ? 'the write may have happened' : 'nothing was written';
  return new StoreError(
    'unavailable',
    `DynamoDB failed ${triesMax} times, the last time with ${name}; ${effect}; try again later`,
    { cause: error },
  );
}

/** Turns a fault that stays into the port's error; what only a fault of the program can cause passes through. */
function explained(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof StoreError) return error;
  if (error.name === 'ValidationException') return explainValidation(error.message, error) ?? error;
  if (error instanceof TypeError || error instanceof RangeError) return error;
  return new StoreError(
    'unavailable',
    `DynamoDB refused the call with ${error.name}; check the table's name, its region and the permissions of this role`,
    { cause: error },
  );
}

/** The two refusals that a program without faults can meet; null for any other. */
export function explainValidation(message: string, cause: unknown): StoreError | null {
  if (/item size/i.test(message)) {
    return new StoreError('item-too-large', 'an item is larger than the 400 KB that DynamoDB allows', {
      cause,
    });
  }
  if (/incorrect data type|type mismatch/i.test(message)) {
    return new StoreError('corrupt-item', 'a counter is not a number, so nothing can be added to it', {
      cause,
    });
  }
  return null;
}
