import { createHash } from 'node:crypto';
import { type ReceiveDeps, type ReceiveNotice, receive } from '../../../functions/receive/receive.ts';
import { openEmbeddedEngines } from '../../../infra/local/engines.ts';
import { days, type EpochMs, epochMs, minutes } from '../../../shared/core/time.ts';
import type { HttpLambdaResult } from '../../../shared/lambda/http-event.ts';
import { type LogFields, silentLog } from '../../../shared/platform/log.ts';
import type { SecretSource } from '../../../shared/platform/secret-source.ts';
import { callbackSides } from '../../../shared/providers/registry.ts';
import { Secret } from '../../../shared/signing/index.ts';
import { listQuarantined, openQuarantine, type Quarantined } from '../../../shared/store/quarantine-store.ts';
import type { Change, Table, WriteResult } from '../../../shared/store/table.ts';
import { rule } from '../core/samples.ts';

export const start: EpochMs = epochMs(Date.UTC(2026, 10, 22, 10, 5));
export const pathToken = 'a-secret-path-token';

/** The table with a look at its writes, and a switch that takes it away. */
export interface WatchedTable extends Table {
  readonly writes: { readonly changes: readonly Change[]; readonly result: WriteResult }[];
  down: boolean;
}

export function watched(table: Table): WatchedTable {
  const writes: { changes: readonly Change[]; result: WriteResult }[] = [];
  const watching: WatchedTable = {
    ...table,
    writes,
    down: false,
    get: (key) => (watching.down ? Promise.reject(new Error('the table is down')) : table.get(key)),
    write: async (changes) => {
      if (watching.down) throw new Error('the table is down');
      const result = await table.write(changes);
      writes.push({ changes, result });
      return result;
    },
  };
  return watching;
}

/** One machine's receive, with secrets that a test can change. */
export function receiving(settings: { readonly acceptUnsigned?: boolean } = {}) {
  let now = start;
  const engines = openEmbeddedEngines(':memory:', ['eiotclub', 'linksfield-csss'], () => now);
  const table = watched(engines.table);
  const keys = { eiotclub: 'right-secret', 'linksfield-csss': 'csss-secret' };
  const secrets: SecretSource = {
    read: async (provider) => ({
      keys: [
        {
          keyId: null,
          secret: new Secret(provider === 'eiotclub' ? keys.eiotclub : keys['linksfield-csss']),
        },
      ],
      pathToken: new Secret(pathToken),
    }),
    reread: async () => null,
  };
  const provider = (id: string) => ({
    id,
    currency: 'USD',
    callbackPath: `/callbacks/${id}`,
    callbacks: {
      acceptUnsigned: settings.acceptUnsigned ?? false,
      verification: { variants: null, maxAge: days(3), maxFuture: minutes(10) },
      acknowledgement: null,
    },
  });
  const notices: ReceiveNotice[] = [];
  const logged: { readonly message: string; readonly fields: LogFields }[] = [];
  const deps: ReceiveDeps = {
    table,
    events: engines.events,
    sides: callbackSides,
    providers: [provider('eiotclub'), provider('linksfield-csss')],
    secrets,
    // It speaks for every usage alert of EIOTCLUB, so that decide must look at each.
    policy: { version: 'v1', rules: [rule()] },
    quarantine: openQuarantine(table),
    log: (level, message, fields) => {
      logged.push({ message, fields });
      silentLog(level, message, fields);
    },
    notice: (notice) => void notices.push(notice),
  };
  const post = (body: object | string, id = 'eiotclub', token = pathToken): Promise<HttpLambdaResult> =>
    receive(
      {
        version: '2.0',
        rawPath: `/callbacks/${id}/${token}`,
        headers: { 'content-type': 'application/json', 'x-not-evidence': 'secret-of-someone' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
        isBase64Encoded: false,
        requestContext: {
          requestId: 'req-1',
          http: { method: 'POST' },
        },
      },
      now,
      deps,
    );
  return {
    deps,
    table,
    engines,
    keys,
    notices,
    logged,
    post,
    now: () => now,
    advance: (ms: number) => {
      now = epochMs(now + ms);
    },
    kept: async (id = 'eiotclub'): Promise<readonly Quarantined[]> => {
      const rows: Quarantined[] = [];
      for await (const row of listQuarantined(table, id, { from: epochMs(0), to: epochMs(now + 1) }))
        rows.push(row.value);
      return rows;
    },
  };
}

/** A low-data notice of EIOTCLUB signed with `secret`, in the few lines of its documentation. */
export function alert(id: number, secret: string, now: EpochMs, extra: Record<string, string> = {}): object {
  const body: Record<string, string | number> = {
    event: 'FlowAlert',
    id,
    nonce: 'n'.repeat(8),
    timestamp: Math.floor(now / 1000),
    iccid: '89852000263320817044',
    alert_type: 1,
    alert_value: '98.5',
    ...extra,
  };
  const text = Object.keys(body)
    .sort()
    .map((name) => `${name}=${body[name]}`)
    .join('&');
  const sign = createHash('sha1').update(`${text}&secret=${secret}`).digest('hex').toUpperCase();
  return { ...body, sign };
}
