export type StoreErrorCode = 'unavailable' | 'item-too-large' | 'corrupt-item';

/** The store could not do what it was asked. `retryable` says whether the same call may work later. */
export class StoreError extends Error {
  readonly code: StoreErrorCode;
  readonly retryable: boolean;

  constructor(code: StoreErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'StoreError';
    this.code = code;
    this.retryable = code === 'unavailable';
  }
}
