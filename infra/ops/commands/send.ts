import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Json } from '../../../shared/core/action.ts';
import type { NamedSecret } from '../../../shared/providers/provider.ts';
import { readRunning } from '../../local/running-system.ts';
import type { CallbackSample } from '../callback-samples.ts';
import { findSample, samplesOf } from '../callback-samples.ts';
import { addCommand, type Context, contextOf } from '../command.ts';
import { openStage } from '../connect.ts';
import { failed, misused, notFound, OpsError } from '../failure.ts';
import { type FieldValue, readFieldValues, withFields } from '../field-values.ts';
import { readDuration, readWhole } from '../notation.ts';
import { type PostResult, postCallback } from '../post-callback.ts';
import { startProgress } from '../progress.ts';
import { type SignedMessage, signAsProvider, unsignedMessage, wrongKey } from '../sign-callback.ts';
import type { OpsWorld } from '../world.ts';

interface SendOptions {
  readonly url?: string;
  readonly count: string;
  readonly repeat: string;
  readonly burst?: string;
  readonly late?: string;
  readonly reordered: boolean;
  readonly forged: boolean;
  readonly unsigned: boolean;
  readonly variant?: string;
  readonly print: boolean;
}

/** What is to be sent, read from the command line. */
interface Plan {
  readonly provider: string;
  readonly sample: CallbackSample | null;
  readonly event: string;
  readonly fields: readonly FieldValue[];
  readonly count: number;
  readonly repeat: number;
  /** All at once instead of one after the other. */
  readonly burst: boolean;
  readonly lateMs: number;
  readonly reordered: boolean;
  readonly mode: 'signed' | 'forged' | 'unsigned';
  readonly variant: string | null;
}

/** Most callbacks of one run. */
const countMax = 10_000;

/** `send`: signs and posts a callback. */
export function addSendCommand(program: Command, world: OpsWorld): void {
  addCommand(program, {
    name: 'send',
    description: 'Signs a callback of any provider and kind as the provider would, and posts it.',
    examples: [
      'npx simhook send eiotclub FlowAlert iccid=89852000263320817044 alert_type=2 alert_value=9',
      'npx simhook send linksfield-csss order-status status=1008 order_id=O1 --unsigned',
      'npx simhook send eiotclub usage-alert --count 5 --reordered',
    ],
    more: `Fields change a sample body: name=text, name:=json, data.0.name=text further in; sim= is the SIM in each of them.
A text becomes a number where the sample has one. --forged signs with a key that nobody has.
The exit code is 0 when each was answered 2xx; with --forged, when each was refused.

Samples:
${sampleList(world)}`,
  })
    .argument('<provider>', 'eiotclub, linksfield-csss or linksfield-cube')
    .argument('<event>', "the provider's name of the event, or its kind in simhook's words")
    .argument('[field=value...]', 'fields of your own')
    .option(
      '--url <url>',
      'address of the system; the callback path is added. Default: where the system of --data listens',
    )
    .option('--count <n>', 'so many different callbacks, each of a SIM of its own unless you name one', '1')
    .option('--repeat <n>', 'each of them so many times, byte for byte', '1')
    .option('--burst <n>', 'so many different callbacks, all at once')
    .option('--late <span>', 'as if it happened this long ago: 2h')
    .option('--reordered', 'newest first', false)
    .option('--forged', 'with a wrong signature', false)
    .option('--unsigned', 'without a signature', false)
    .option('--variant <name>', 'reading of the documentation to sign by')
    .option('--print', 'print the requests instead of sending them; the path token is left out', false)
    .action(
      async (provider: string, event: string, words: string[], options: SendOptions, command: Command) => {
        const plan = readPlan(provider, event, words, options);
        await send(plan, options, contextOf(command, world));
      },
    );
}

function sampleList(world: OpsWorld): string {
  return world.providers
    .map(
      ({ id }) =>
        `  ${id}: ${samplesOf(id)
          .map((sample) => sample.name)
          .join(', ')}`,
    )
    .join('\n');
}

function readPlan(provider: string, event: string, words: readonly string[], options: SendOptions): Plan {
  if (options.forged && options.unsigned)
    throw misused('--forged and --unsigned exclude each other: give one');
  const range = { min: 1, max: countMax };
  const sample = findSample(provider, event);
  return {
    provider,
    event,
    sample,
    fields: readFieldValues(words).map(({ path: [first = '', ...rest], value }) => ({
      path: [...(sample?.short[first] ?? first).split('.'), ...rest],
      value,
    })),
    count: readWhole('--count', options.burst ?? options.count, range),
    repeat: readWhole('--repeat', options.repeat, range),
    burst: options.burst !== undefined,
    lateMs: options.late === undefined ? 0 : readDuration('--late', options.late),
    reordered: options.reordered,
    mode: options.forged ? 'forged' : options.unsigned ? 'unsigned' : 'signed',
    variant: options.variant ?? null,
  };
}

async function send(plan: Plan, options: SendOptions, context: Context): Promise<void> {
  const { world, out } = context;
  const target = await targetOf(plan, options, context);
  if (plan.sample === null) {
    out.note(`there is no sample of "${plan.event}" for ${plan.provider}, so the fields stand alone`);
  }
  const messages = buildMessages(plan, target.key, world);
  if (options.print) return printMessages(messages, target, context);
  const results = plan.burst
    ? await Promise.all(messages.map((message) => postCallback(target.url, message, world.clock)))
    : await postAll(messages, target.url, world);
  await tell(plan, results, { context, shownUrl: target.shownUrl, sims: simsOf(messages) });
}

interface Target {
  readonly url: string;
  /** Without the secret path token. */
  readonly shownUrl: string;
  readonly key: NamedSecret | null;
}

/** Where `npm start` listens unless it is told otherwise. */
const usualUrl = 'http://127.0.0.1:8080';

/** The address given, else that of the system that runs on the data folder. Throws OpsError when it runs no more. */
function baseUrlOf({ url, print }: SendOptions, { where }: Context): string {
  if (url !== undefined) return url;
  if (where.place.kind === 'stage' && !print)
    throw misused(
      `--stage ${where.place.name} needs --url: the address is an output of simhook-${where.place.name}, without its path`,
    );
  const running = readRunning(where.data);
  if (running.kind === 'running') return running.system.url;
  if (running.kind === 'none' || print) return usualUrl;
  throw new OpsError(
    'unreachable',
    `the system of ${where.data} ended without saying so (process ${running.pid} is gone): start it again with npm start, or name an address with --url`,
  );
}

async function targetOf(plan: Plan, options: SendOptions, context: Context): Promise<Target> {
  const base = baseUrlOf(options, context);
  if (!URL.canParse(base))
    throw misused(`--url is "${base}", but it must be a URL such as http://127.0.0.1:8080`);
  const { where, world } = context;
  const { stage, secrets } = await openStage(where, world);
  const provider = stage.providers.find(({ id }) => id === plan.provider);
  if (!provider) {
    const ids = stage.providers.map(({ id }) => id).join(', ');
    throw misused(`the stage has no provider "${plan.provider}"; it has ${ids}`);
  }
  const set = await secrets.read(provider.id, 'callback');
  const [key = null] = set.keys;
  if (key === null && plan.mode !== 'unsigned') {
    if (where.place.kind === 'stage')
      throw failed(
        `there is no callback secret of ${provider.id}: set it with npx simhook secrets set --stage ${where.place.name}`,
      );
    const path = join(where.data, 'secrets.json');
    throw existsSync(path)
      ? failed(`there is no callback secret of ${provider.id} in ${path} or the stage file: add one`)
      : notFound(
          `there are no secrets in ${path}: start the system once with npm start, or name its folder with --data`,
        );
  }
  const shownUrl = `${base.replace(/\/+$/, '')}${provider.callbackPath}`;
  const token = set.pathToken === null ? '' : `/${set.pathToken.reveal()}`;
  return { url: `${shownUrl}${token}`, shownUrl, key };
}

/** Oldest first, a second apart, so that `--reordered` has an order to turn round. */
function buildMessages(plan: Plan, key: NamedSecret | null, world: OpsWorld): readonly SignedMessage[] {
  const now = world.clock();
  const messages = Array.from({ length: plan.count }, (_, i) => {
    const nowMs = now - plan.lateMs - (plan.count - 1 - i) * (plan.reordered ? 1_000 : 0);
    const sim = `8985${String(now).slice(-11)}${String(i).padStart(4, '0')}`;
    const fill = { nowMs, id: world.random.hex(12), nonce: world.random.integer(10_000, 99_999), sim };
    const start = plan.sample?.body(fill) ?? bareBody(plan, fill);
    const body = asObject(withFields(start, plan.fields));
    if (plan.mode === 'unsigned' || key === null) return unsignedMessage(body);
    const signingKey = plan.mode === 'forged' ? wrongKey(key, world.random.hex(16)) : key;
    return signAsProvider({ provider: plan.provider, body, nowMs, key: signingKey, variant: plan.variant });
  });
  const ordered = plan.reordered ? messages.toReversed() : messages;
  return ordered.flatMap((message) => Array.from({ length: plan.repeat }, () => message));
}

/** A body for an event that we have no sample of: what every callback of the provider carries. */
function bareBody(
  plan: Plan,
  fill: { readonly nowMs: number; readonly id: string; readonly nonce: number },
): Json {
  if (plan.provider !== 'eiotclub') return { event_type: plan.event };
  const { id, nonce } = fill;
  return { event: plan.event, id, timestamp: Math.floor(fill.nowMs / 1_000), nonce };
}

function asObject(body: Json): { readonly [key: string]: Json } {
  if (typeof body === 'object' && body !== null && !isList(body)) return body;
  throw misused('the fields must leave the body an object');
}

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value);
}

async function postAll(
  messages: readonly SignedMessage[],
  url: string,
  world: OpsWorld,
): Promise<readonly PostResult[]> {
  const results: PostResult[] = [];
  const progress = startProgress(world, 'sending');
  for (const message of messages) {
    if (world.signal.aborted) break;
    const result = await postCallback(url, message, world.clock);
    results.push(result);
    progress.at(results.length, { total: messages.length });
    if (result.kind === 'unreachable') break;
  }
  progress.end();
  return results;
}

async function printMessages(
  messages: readonly SignedMessage[],
  target: Target,
  { out }: Context,
): Promise<void> {
  for (const { body, headers } of messages) {
    const text = Buffer.from(body).toString('utf8');
    await out.value({ method: 'POST', url: target.shownUrl, headers, body: text });
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    await out.line([`POST ${new URL(target.shownUrl).pathname} HTTP/1.1`, ...lines, '', text, ''].join('\n'));
  }
}

/** SIMs named in the bodies, a few of them, for the hint of where to look next. */
function simsOf(messages: readonly SignedMessage[]): readonly string[] {
  const sims = messages
    .slice(0, 3)
    .flatMap(
      ({ body }) =>
        /"(?:iccid|eid|device_id|deviceId|sim_id)":"(\w+)"/.exec(Buffer.from(body).toString('utf8'))?.[1] ??
        [],
    );
  return [...new Set(sims)];
}

async function tell(
  plan: Plan,
  results: readonly PostResult[],
  view: { readonly context: Context; readonly shownUrl: string; readonly sims: readonly string[] },
): Promise<void> {
  const { out, world } = view.context;
  const lost = results.find((result) => result.kind === 'unreachable');
  const statuses = new Map<number, number[]>();
  for (const result of results) {
    if (result.kind === 'answered')
      statuses.set(result.status, [...(statuses.get(result.status) ?? []), result.ms]);
  }
  const rows = [...statuses].toSorted(([a], [b]) => a - b);
  const summary = rows.map(([status, times]) => ({
    status,
    count: times.length,
    slowestMs: Math.max(...times),
  }));
  await out.value({
    url: view.shownUrl,
    mode: plan.mode,
    sent: results.length,
    answers: summary,
    sims: view.sims,
  });
  for (const { status, count, slowestMs } of summary) {
    const paint = status < 300 ? out.paint.green : status < 500 ? out.paint.yellow : out.paint.red;
    await out.line(
      `${paint(String(status))}  ${count} × ${plan.mode} ${plan.provider} ${plan.event}, ${count > 1 ? 'slowest ' : ''}${slowestMs} ms`,
    );
  }
  if (lost !== undefined) {
    throw new OpsError(
      'unreachable',
      `${view.shownUrl} does not answer (${lost.why}): start the system with npm start, or name its address with --url`,
    );
  }
  if (world.signal.aborted) return;
  const wanted = plan.mode === 'forged' ? isRefusal : isGood;
  if (summary.some(({ status }) => plan.mode !== 'unsigned' && !wanted(status))) {
    throw failed(
      plan.mode === 'forged'
        ? 'a forged callback was not refused'
        : 'not every callback was accepted; simhook explain says why, given the request (--print)',
    );
  }
  const [sim] = view.sims;
  if (sim !== undefined && plan.mode !== 'forged')
    await out.line(`follow it with: npx simhook sim show ${sim}`);
}

const isGood = (status: number): boolean => status >= 200 && status < 300;
const isRefusal = (status: number): boolean => status >= 400 && status < 500;
