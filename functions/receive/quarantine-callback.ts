import type { EpochMs } from '../../shared/core/time.ts';
import { sha256Hex } from '../../shared/platform/digest.ts';
import type { Log } from '../../shared/platform/log.ts';
import type { ReceivingProvider } from '../../shared/policy/stage.ts';
import type { Callback } from '../../shared/providers/callback.ts';
import type { CallbackSide } from '../../shared/providers/provider.ts';
import type { Quarantine } from '../../shared/store/quarantine-store.ts';
import { evidenceOf, type Rejection } from './accept-callback.ts';

/** A callback that came on the right path and was refused with 401. */
export interface RefusedCallback {
  readonly provider: ReceivingProvider;
  readonly side: CallbackSide;
  readonly rejection: Rejection;
  readonly now: EpochMs;
}

/**
 * Keeps a refused callback as evidence, where there is room. Never throws: the caller's answer is settled already,
 * and a store that is down must not turn a 401 into a 5xx that the sender would repeat.
 */
export async function quarantine(
  callback: Callback,
  refused: RefusedCallback,
  deps: { readonly quarantine: Quarantine | null; readonly log: Log },
): Promise<void> {
  if (!deps.quarantine) return;
  const { provider, side, rejection, now } = refused;
  const evidence = evidenceOf(side, callback, provider.callbackPath);
  const quarantineId = quarantineIdOf(provider.id, callback, evidence.headers);
  try {
    const kept = await deps.quarantine.keep({
      quarantineId,
      provider: provider.id,
      reason: rejection.reason,
      detail: rejection.detail.slice(0, 300),
      receivedAt: now,
      evidence,
      admitted: null,
    });
    if (kept === 'kept')
      deps.log('info', 'callback quarantined', {
        provider: provider.id,
        quarantineId,
        reason: rejection.reason,
      });
  } catch (error) {
    deps.log('warn', 'refused callback not kept', { provider: provider.id, error: String(error) });
  }
}

/** The same bytes under the same signed headers always get the same id, so that a repeated delivery is kept once. */
function quarantineIdOf(
  provider: string,
  callback: Callback,
  headers: Readonly<Record<string, string>>,
): string {
  const names = JSON.stringify(Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1)));
  return `qua_${sha256Hex(`${provider}\n${sha256Hex(callback.body)}\n${names}`).slice(0, 32)}`;
}
