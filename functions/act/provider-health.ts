import type { Action } from '../../shared/core/action.ts';
import { judgeHealth } from '../../shared/core/lifecycle.ts';
import type { Outcome } from '../../shared/core/outcome.ts';
import { providerPolicyOf } from '../../shared/core/policy.ts';
import { loadHealth, writeHealth } from '../../shared/store/control-store.ts';
import type { ActDeps } from './act-deps.ts';
import { racesMax } from './change-action.ts';

/** Counts refusals of the whole account, so that an empty wallet stops all actions with one alarm. */
export async function noteHealth(action: Action, outcome: Outcome, deps: ActDeps): Promise<void> {
  const provider = providerPolicyOf(deps.policy, action.subject.provider);
  if (provider === null) return;
  for (let race = 0; race < racesMax; race++) {
    const health = await loadHealth(deps.table, action.subject.provider);
    const next = judgeHealth(health.value, outcome, provider.refusalsInARow, deps.clock());
    const same = next.refusalsInARow === health.value.refusalsInARow && next.stopped === health.value.stopped;
    if (same || (await writeHealth(deps.table, health, next)) === 'written') {
      if (next.stopped !== null && next.stopped !== health.value.stopped) {
        const first = health.value.stopped === null;
        deps.log(
          first ? 'error' : 'warn',
          first ? 'provider stopped: it refuses in a row' : 'provider still refuses',
          {
            provider: action.subject.provider,
            code: next.stopped.code,
          },
        );
      }
      return;
    }
  }
}
