/** What the process ends with; documented in `simhook --help`. */
export const exitCodes = {
  ok: 0,
  /** What was asked for could not be done. */
  failed: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** Nothing of that id, file or range exists. */
  'not-found': 3,
  /** It is not allowed now, or someone else was first. */
  conflict: 4,
  /** The store, the queues or the system can't be reached. */
  unreachable: 5,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

export type FailureKind = Exclude<keyof typeof exitCodes, 'ok'>;

/** Something that the user can mend, said in one line: what, value seen, value allowed, what to do. */
export class OpsError extends Error {
  override readonly name = 'OpsError';
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

export function failed(message: string, options?: { readonly cause?: unknown }): OpsError {
  return new OpsError('failed', message, options);
}

export function misused(message: string): OpsError {
  return new OpsError('usage', message);
}

export function notFound(message: string): OpsError {
  return new OpsError('not-found', message);
}

export function conflict(message: string): OpsError {
  return new OpsError('conflict', message);
}
