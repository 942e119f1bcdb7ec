import type { SweepDeps } from '../../functions/sweep/sweep.ts';
import type { CallbackSide, OpenClient, ProviderProfile } from '../../shared/providers/provider.ts';
import type { Table } from '../../shared/store/table.ts';
import type { Worker } from './worker.ts';

/**
 * Places where a deliberate bug can sit between production code and what it stands on. Production code has no switch
 * for any of them.
 */
export interface Mutation {
  readonly name: string;
  readonly table?: (table: Table, worker: Worker) => Table;
  readonly receiveTable?: (table: Table) => Table;
  readonly client?: (client: OpenClient) => OpenClient;
  readonly profile?: (profile: ProviderProfile) => ProviderProfile;
  readonly side?: (side: CallbackSide) => CallbackSide;
  readonly sweep?: (run: (deps: SweepDeps) => Promise<unknown>, deps: SweepDeps) => Promise<unknown>;
  readonly ungated?: boolean;
}
