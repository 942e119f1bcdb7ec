import { epochMs } from '../../shared/core/time.ts';

/** For calls that may start whenever they like. */
export const anyTime = epochMs(Number.MAX_SAFE_INTEGER);
