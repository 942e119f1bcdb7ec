import type { Action } from '../../shared/core/action.ts';
import type { EpochMs } from '../../shared/core/time.ts';
import type { Print } from './narrator.ts';
import type { SimulatorProcess } from './simulator-process.ts';
import type { Watch } from './system.ts';

/** How long one step of the scene may take. */
const stepTimeoutMs = 20_000;

/** A watch that others can wait on. */
export interface Lookout extends Watch {
  /** Resolves at the first notice, from now on, that `wanted` accepts; rejects with `what` after the step's time. */
  until(what: string, wanted: (notice: Notice) => boolean): Promise<Notice>;
}

export type Notice =
  | { readonly kind: 'received'; readonly status: number; readonly sims: readonly string[] }
  | {
      readonly kind: 'decided';
      readonly sim: string | null;
      readonly eventKind: string;
      readonly ownActionId: string | null;
    }
  | { readonly kind: 'acted'; readonly action: Action; readonly what: string };

/** Passes notices on to `next`, and to whoever waits for one. */
export function lookout(next: Watch): Lookout {
  const waiting = new Set<(notice: Notice) => void>();
  const tell = (notice: Notice): void => {
    for (const waiter of [...waiting]) waiter(notice);
  };
  return {
    received: (notice) => {
      next.received(notice);
      tell({
        kind: 'received',
        status: notice.status,
        sims: notice.events.map((event) => event.subject?.simId ?? ''),
      });
    },
    decided: (event, decided) => {
      next.decided(event, decided);
      const { ownActionId } = decided.decision;
      tell({ kind: 'decided', sim: event.subject?.simId ?? null, eventKind: event.facts.kind, ownActionId });
    },
    acted: (action, what) => {
      next.acted(action, what);
      tell({ kind: 'acted', action, what });
    },
    reconciled: (notice) => next.reconciled?.(notice),
    silence: (notice) => next.silence?.(notice),
    until: (what, wanted) =>
      new Promise((resolve, reject) => {
        const over = (): void => {
          clearTimeout(timer);
          waiting.delete(waiter);
        };
        const waiter = (notice: Notice): void => {
          if (!wanted(notice)) return;
          over();
          resolve(notice);
        };
        const timer = setTimeout(() => {
          over();
          reject(new Error(`the scene waited ${stepTimeoutMs / 1000} s in vain for this: ${what}`));
        }, stepTimeoutMs);
        // Whoever waits is in this process; after Ctrl-C nobody does, and the timer must not keep it up.
        timer.unref();
        waiting.add(waiter);
      }),
  };
}

export interface SceneDeps {
  readonly simulator: SimulatorProcess;
  readonly lookout: Lookout;
  readonly print: Print;
  readonly now: EpochMs;
}

/**
 * Plays the scene that a newcomer sees: three SIMs, three ways of buying, each followed until the provider's own
 * callback about the new order is stored and tied to it. Rejects when a step does not happen.
 */
export async function playScene(deps: SceneDeps): Promise<void> {
  const { simulator, print } = deps;
  const sims = sceneSims(deps.now);

  print('\n1. EIOTCLUB says that a SIM runs out of data; the rule renews its package.');
  await simulator.call('addSim', {
    provider: 'eiotclub',
    simId: sims.eiotclub,
    packages: [{ code: 'PKG001', state: 'active' }],
  });
  await follow(deps, sims.eiotclub, 'package-ordered', () =>
    simulator.call('emit', 'eiotclub', {
      event: 'FlowAlert',
      iccid: sims.eiotclub,
      alert_type: 1,
      alert_value: '98.5',
    }),
  );

  print(
    '\n2. Linksfield CSSS says, without a signature, that an order expired; the records confirm it, it is ordered again.',
  );
  const held = { code: 'DP20190726001274', state: 'active', orderId: `ORDER_SCENE_${deps.now}` };
  await simulator.call('addSim', { provider: 'linksfield-csss', simId: sims.csss, packages: [held] });
  await follow(deps, sims.csss, 'order-status', () => simulator.call('expireOrder', held.orderId));

  print('\n3. Linksfield reminds that an OTA SIM has no plan left; the rule orders an OTA day plan.');
  await simulator.call('addSim', { provider: 'linksfield-csss', simId: sims.ota, ota: true });
  await follow(deps, sims.ota, 'order-status', () =>
    simulator.call('emit', 'linksfield-csss', {
      devices: [{ deviceId: sims.ota, expireTime: '2026-11-22 00:00:00', warningCode: '1' }],
    }),
  );
}

/** Starts something and follows it: bought, and the provider's callback about the order tied to the action. */
async function follow(
  deps: SceneDeps,
  sim: string,
  echo: string,
  start: () => Promise<unknown>,
): Promise<void> {
  const bought = deps.lookout.until(
    `a purchase for ${sim}`,
    (n) => n.kind === 'acted' && n.action.subject.simId === sim && n.action.state.name === 'succeeded',
  );
  const tied = deps.lookout.until(
    `the provider's callback about the order of ${sim}`,
    (n) => n.kind === 'decided' && n.sim === sim && n.eventKind === echo && n.ownActionId !== null,
  );
  await Promise.all([bought, tied, start()]);
}

/** New SIMs at each start, so that yesterday's cool-downs don't hold today's scene back. */
function sceneSims(now: EpochMs): { readonly eiotclub: string; readonly csss: string; readonly ota: string } {
  const digits = String(now).slice(0, 13);
  return { eiotclub: `898520${digits}1`, csss: `898521${digits}2`, ota: `898522${digits}3` };
}
