import { type ReceiveDeps, type ReceiveNotice, receive } from '../../../functions/receive/receive.ts';
import type { MatchPolicy, MatchRule } from '../../../shared/core/policy.ts';
import { days, type EpochMs, epochMs, hours, minutes } from '../../../shared/core/time.ts';
import type { EventKind } from '../../../shared/core/webhook-event.ts';
import type { HttpLambdaEvent, HttpLambdaResult } from '../../../shared/lambda/http-event.ts';
import type { Figures, LogFields, LogLevel } from '../../../shared/platform/log.ts';
import type { SecretPurpose, SecretSet } from '../../../shared/platform/secret-source.ts';
import type { ReceivingProvider } from '../../../shared/policy/stage.ts';
import { callbackSides } from '../../../shared/providers/registry.ts';
import { openSqliteWorkQueue } from '../../../shared/queue/sqlite-work-queue.ts';
import {
  Secret,
  signCsssCallback,
  signCubeNotification,
  signEiotclubCallback,
} from '../../../shared/signing/index.ts';
import { openQuarantine } from '../../../shared/store/quarantine-store.ts';
import { openSqliteTable, type SqliteTable } from '../../../shared/store/sqlite-table.ts';

export const noon: EpochMs = epochMs(Date.UTC(2026, 0, 14, 12));

/** Texts that must never show up in a log line or an answer. */
export const secrets = {
  eiotclub: 'eiotclub-callback-secret-0001',
  'linksfield-csss': 'csss-callback-secret-0001',
  'linksfield-cube': '00112233445566778899aabbccddeeff',
  old: 'eiotclub-callback-secret-0000',
  pathToken: 'path-token-of-csss-000000000001',
} as const;
export const cubeKeyId = 'fedcba9876543210fedcba9876543210';

export interface Line {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
  readonly figures: Figures | undefined;
}

export interface Receiver {
  readonly table: SqliteTable;
  readonly deps: ReceiveDeps;
  readonly lines: Line[];
  readonly notices: ReceiveNotice[];
  /** Sets of secrets, by provider, as a rotation changes them. */
  readonly sets: Map<string, SecretSet>;
  readonly rereads: string[];
  send(
    request: Partial<HttpLambdaEvent> & { readonly method?: string },
    now?: EpochMs,
  ): Promise<HttpLambdaResult>;
  /** Bodies of the messages that wait in the events queue. */
  queued(): Promise<readonly string[]>;
  /** Rows of the table whose key begins so. */
  rows(prefix: string): readonly string[];
}

const receiving = (id: string, currency: string, acceptUnsigned = false): ReceivingProvider => ({
  id,
  currency,
  callbackPath: `/callbacks/${id}`,
  callbacks: {
    acceptUnsigned,
    verification: { variants: null, maxAge: hours(72), maxFuture: minutes(10) },
    acknowledgement: null,
  },
});

const set = (value: string, keyId: string | null = null, token: string | null = null): SecretSet => ({
  keys: [{ keyId, secret: new Secret(value) }],
  pathToken: token === null ? null : new Secret(token),
});

const ruleFor = (provider: string, kind: EventKind): MatchRule => ({
  ruleId: `${provider}-${kind}`,
  provider,
  when: { kind, alerts: null, statuses: null, warnings: null, packageCodes: null, simPrefixes: null },
});

/** Speaks for every usage alert, so that decide must look at each. */
const policy: MatchPolicy = {
  version: 'v1',
  rules: [
    ruleFor('eiotclub', 'usage-alert'),
    ruleFor('linksfield-csss', 'plan-reminder'),
    ruleFor('linksfield-cube', 'usage-alert'),
  ],
};

/** A receiver on an in-memory table and queue, with everything captured that it says. */
export function openReceiver(changes: Partial<ReceiveDeps> = {}): Receiver {
  const clock = () => noon;
  const table = openSqliteTable({ path: ':memory:', now: clock });
  const settings = { visibilitySec: 60, receivesMax: 5, retentionSec: days(4) / 1_000 };
  const events = openSqliteWorkQueue({
    source: table.database,
    name: 'events',
    settings,
    now: clock,
    deadLetter: null,
  });
  const sets = new Map<string, SecretSet>([
    ['eiotclub', set(secrets.eiotclub)],
    ['linksfield-csss', set(secrets['linksfield-csss'], null, secrets.pathToken)],
    ['linksfield-cube', set(secrets['linksfield-cube'], cubeKeyId)],
  ]);
  const lines: Line[] = [];
  const notices: ReceiveNotice[] = [];
  const rereads: string[] = [];
  const deps: ReceiveDeps = {
    table,
    events,
    sides: callbackSides,
    providers: [
      receiving('eiotclub', 'USD'),
      receiving('linksfield-csss', 'CNY', true),
      receiving('linksfield-cube', 'CNY'),
    ],
    secrets: {
      read: async (provider: string, _purpose: SecretPurpose) =>
        sets.get(provider) ?? { keys: [], pathToken: null },
      reread: async (provider) => {
        rereads.push(provider);
        return null;
      },
    },
    policy,
    quarantine: openQuarantine(table),
    log: (level, message, fields, figures) => void lines.push({ level, message, fields, figures }),
    notice: (notice) => void notices.push(notice),
    ...changes,
  };
  return {
    table,
    deps,
    lines,
    notices,
    sets,
    rereads,
    send: ({ method = 'POST', ...request }, now = noon) => receive(lambdaEvent(method, request), now, deps),
    queued: async () => {
      const bodies: string[] = [];
      for (let i = 0; i < 100; i++) {
        const batch = await events.receive(10);
        if (batch.length === 0) break;
        bodies.push(...batch.map((message) => message.body));
      }
      return bodies;
    },
    rows: (prefix) =>
      table.database
        .prepare('SELECT pk FROM items WHERE pk LIKE ? ORDER BY pk')
        .all(`${prefix}%`)
        .map((row) => String(row.pk)),
  };
}

function lambdaEvent(method: string, request: Partial<HttpLambdaEvent>): HttpLambdaEvent {
  const rawPath = request.rawPath ?? '/callbacks/eiotclub';
  return {
    version: '2.0',
    headers: { 'content-type': 'application/json' },
    isBase64Encoded: false,
    requestContext: { requestId: 'request-1', http: { method } },
    ...request,
    rawPath,
  };
}

type Fields = Parameters<typeof signEiotclubCallback>[0];

const seconds = (moment: number): number => Math.floor(moment / 1_000);

export const flowAlert = (
  changes: Record<string, string | number> = {},
): Record<string, string | number> => ({
  event: 'FlowAlert',
  id: 'delivery-000000000001',
  timestamp: seconds(noon),
  nonce: 12_345,
  iccid: '89852000263320817044',
  alert_type: 1,
  alert_value: '98.5',
  ...changes,
});

/** The body of an EIOTCLUB callback, signed. */
export function signed(body: Fields = flowAlert(), secret: string = secrets.eiotclub): string {
  const made = signEiotclubCallback(body, new Secret(secret));
  if (!made.ok) throw new Error(made.detail);
  return Buffer.from(made.body).toString('utf8');
}

/** A CSSS callback with its signature header. */
export function csss(
  body: Parameters<typeof signCsssCallback>[0],
  secret: string = secrets['linksfield-csss'],
) {
  const made = signCsssCallback(body, new Secret(secret));
  if (!made.ok) throw new Error(made.detail);
  return {
    rawPath: `/callbacks/linksfield-csss/${secrets.pathToken}`,
    headers: { 'content-type': 'application/json', 'x-lf-md5': made.signature },
    body: Buffer.from(made.body).toString('utf8'),
  };
}

/** A Cube notification with its headers. */
export function cube(
  timestampMs: number,
  keyId: string = cubeKeyId,
  secret: string = secrets['linksfield-cube'],
) {
  const body = { type: 'data-usage', iccid: '89852000263320817044', usage: '80%' };
  const made = signCubeNotification(body, { keyId, secret: new Secret(secret), timestampMs });
  if (!made.ok) throw new Error(made.detail);
  return {
    rawPath: '/callbacks/linksfield-cube',
    headers: { 'content-type': 'application/json', ...made.headers },
    body: Buffer.from(made.body).toString('utf8'),
  };
}
