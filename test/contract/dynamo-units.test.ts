import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pollOnce } from '../../infra/local/queue-poller.ts';
import { epochMs } from '../../shared/core/time.ts';
import { seededRandom } from '../../shared/platform/random.ts';
import { makeDynamoClient } from '../../shared/store/dynamo-client.ts';
import { createDynamoTable } from '../../shared/store/dynamo-setup.ts';
import { dynamoTable } from '../../shared/store/dynamo-table.ts';
import type { Change, Table } from '../../shared/store/table.ts';
import { alertBody, alertRequest, signedAtMs } from '../bench/http-requests.ts';
import { openBenchWorld } from '../bench/local-world.ts';
import { instantProvider } from '../bench/metered-flow.ts';
import {
  describeWithEngine,
  dynamoDbLocalProblem,
  type Engine,
  engineAccess,
  startDynamoDbLocal,
} from '../support/engines.ts';
import { meteredTable, newMeter } from '../support/metered-engines.ts';

/*
 * The budgets (test/flow/budgets.test.ts) and the cost bench count write units by the meter's own arithmetic. Here the
 * same writes go to DynamoDB Local, which says what it would charge.
 */

const tableName = 'simhook-units';

describeWithEngine('write units on DynamoDB Local', dynamoDbLocalProblem(), () => {
  const state: { engine: Engine | null } = { engine: null };
  beforeAll(async () => {
    state.engine = await startDynamoDbLocal();
  });
  afterAll(async () => {
    await state.engine?.stop();
  });

  describe('the meter', () => {
    it('counts what the engine charges, for each write from the callback to the settled purchase', async () => {
      const { writes, counted } = await playOnSqlite();
      const charged = await replayOnDynamo(state.engine?.endpoint ?? '', writes);
      expect(charged).toEqual(counted);
      expect(charged.length).toBeGreaterThanOrEqual(7);
    });
  });
});

/** One callback with its purchase and one that a cool-down stops; the writes with what the meter says they cost. */
async function playOnSqlite(): Promise<{
  readonly writes: readonly (readonly Change[])[];
  readonly counted: readonly number[];
}> {
  const meter = newMeter();
  const writes: (readonly Change[])[] = [];
  const recorded = (table: Table): Table => {
    const metered = meteredTable(table, meter);
    return {
      ...metered,
      write: (changes) => {
        writes.push(changes);
        return metered.write(changes);
      },
    };
  };
  const world = openBenchWorld({
    simulatorUrl: 'http://127.0.0.1:1',
    clock: () => epochMs(signedAtMs),
    wrapTable: recorded,
    wrapProvider: (provider) => instantProvider(provider, { asks: false }),
  });
  for (const body of [alertBody(1), alertBody(4, 3)]) {
    await world.system.handleHttp(alertRequest(body));
    for (const source of world.system.sources) await pollOnce(source);
  }
  await world.close();
  return { writes, counted: meter.writes.map(({ units }) => units) };
}

/**
 * Each change goes as a write of its own, and those of a transaction are doubled: for a transaction the local engine
 * adds up the bytes of its items before it rounds, while AWS rounds each item up. Source: DynamoDB developer guide,
 * "DynamoDB transactions: capacity management": two units for each KB of an item.
 */
async function replayOnDynamo(
  endpoint: string,
  writes: readonly (readonly Change[])[],
): Promise<readonly number[]> {
  const client = makeDynamoClient({ ...engineAccess, endpoint });
  await createDynamoTable(client, tableName);
  const charged: number[] = [];
  client.middlewareStack.add(
    (next) => async (call) => {
      Object.assign(call.input, { ReturnConsumedCapacity: 'TOTAL' });
      const result = await next(call);
      charged.push(unitsOf(result.output));
      return result;
    },
    { step: 'initialize' },
  );
  const table = dynamoTable({ client, tableName, random: seededRandom(7), sleep: async () => undefined });
  const totals: number[] = [];
  for (const changes of writes) {
    charged.length = 0;
    for (const change of changes) expect(await table.write([change])).toEqual({ ok: true });
    totals.push(charged.reduce((sum, units) => sum + units, 0) * (changes.length > 1 ? 2 : 1));
  }
  await table.close();
  return totals;
}

function unitsOf(output: object): number {
  const consumed: unknown = 'ConsumedCapacity' in output ? output.ConsumedCapacity : null;
  const parts: readonly unknown[] = Array.isArray(consumed) ? consumed : [consumed];
  return parts.reduce<number>((sum, part) => {
    if (typeof part !== 'object' || part === null || !('CapacityUnits' in part)) return Number.NaN;
    return sum + Number(part.CapacityUnits);
  }, 0);
}
