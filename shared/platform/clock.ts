import { type EpochMs, epochMs } from '../core/time.ts';

/** Reads the time. Asked once per unit of work; the value is passed on. */
export type Clock = () => EpochMs;

export const systemClock: Clock = () => epochMs(Date.now());
