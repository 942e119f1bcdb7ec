import type { Action } from '../../shared/core/action.ts';
import type { Lease } from '../../shared/core/lifecycle.ts';
import type { Policy } from '../../shared/core/policy.ts';
import type { AccountLimits } from '../../shared/core/rate-limit.ts';
import type { DurationMs } from '../../shared/core/time.ts';
import type { Clock } from '../../shared/platform/clock.ts';
import type { Log } from '../../shared/platform/log.ts';
import type { Random } from '../../shared/platform/random.ts';
import type { Turns } from '../../shared/platform/turns.ts';
import type { ProviderClient, ProviderProfile } from '../../shared/providers/provider.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import type { Table } from '../../shared/store/table.ts';

/** What the act function works with: one provider account's own client, queue and limits. */
export interface ActDeps {
  readonly table: Table;
  readonly client: ProviderClient;
  readonly profile: ProviderProfile;
  readonly limits: AccountLimits;
  readonly policy: Policy;
  /** The provider's own actions queue, for hints to come back. */
  readonly actions: WorkQueue;
  readonly lease: Lease;
  readonly clock: Clock;
  readonly random: Random;
  /** Time before the runtime ends this unit of work; a claim needs enough of it for the whole call. */
  readonly timeLeft: () => DurationMs;
  /**
   * Slots and claims of one process go one after the other: they meet in the account's window and in the caps' rows,
   * and each write that loses there is paid for and made again. Calls go at once.
   */
  readonly inTurn: Turns;
  readonly log: Log;
  readonly notice?: (action: Action, what: string) => void;
}
