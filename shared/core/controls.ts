import type { ProviderId } from './subject.ts';
import type { EpochMs } from './time.ts';

/** A stop switch that someone set. */
export interface Stop {
  readonly since: EpochMs;
  readonly by: string;
  readonly reason: string;
}

/** What is switched off. Work waits; nothing is lost. */
export interface Switches {
  readonly all: Stop | null;
  readonly providers: Readonly<Record<ProviderId, Stop>>;
  readonly rules: Readonly<Record<string, Stop>>;
}

/** Who turned a stop switch, when and why. `freed`: a provider that had stopped itself was let go on. */
export interface StopChange {
  readonly at: EpochMs;
  readonly by: string;
  readonly did: 'paused' | 'resumed' | 'freed';
  /** `everything`, `provider eiotclub`, `rule renew-low-data`. */
  readonly what: string;
  readonly reason: string;
}

/** Changes that are remembered, the newest of them: as many as surely fit one item with their reasons. */
export const stopChangesMax = 100;

export const noStops: Switches = { all: null, providers: {}, rules: {} };

/** The stop that holds a rule of a provider back, widest first; null when none does. */
export function stopFor(switches: Switches, provider: ProviderId, ruleId: string): Stop | null {
  return switches.all ?? switches.providers[provider] ?? switches.rules[ruleId] ?? null;
}

/** What a provider's recent answers say about the account as a whole. */
export interface ProviderHealth {
  readonly provider: ProviderId;
  readonly refusalsInARow: number;
  /** Set when the breaker opened: no paid call before `retryAt`. */
  readonly stopped: { readonly since: EpochMs; readonly code: string; readonly retryAt: EpochMs } | null;
}

export function healthy(provider: ProviderId): ProviderHealth {
  return { provider, refusalsInARow: 0, stopped: null };
}
