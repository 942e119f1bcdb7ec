export type QueueErrorCode = 'unavailable';

/** The queue could not be reached or refused; what was sent may or may not have arrived. */
export class QueueError extends Error {
  readonly code: QueueErrorCode;
  readonly retryable = true;

  constructor(code: QueueErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'QueueError';
    this.code = code;
  }
}
