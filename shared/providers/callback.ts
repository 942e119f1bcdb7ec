import { lazily } from '../core/lazily.ts';
import { type RawRoot, readRoot } from '../signing/index.ts';

/** The HTTP message as received. Header names are lower case. */
export interface Callback {
  readonly body: Uint8Array;
  /**
   * The body taken apart, once for verification and reading both; a failure where it isn't JSON. Only when it is asked
   * for: a request whose headers show that it can't be right must not cost a walk through 256 KiB.
   */
  readonly json: () => RawRoot;
  readonly headers: Readonly<Record<string, string>>;
}

export function callbackOf(body: Uint8Array, headers: Callback['headers']): Callback {
  return { body, json: lazily(() => readRoot(body)), headers };
}
