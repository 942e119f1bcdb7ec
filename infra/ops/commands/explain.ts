import { existsSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { EpochMs } from '../../../shared/core/time.ts';
import { sameText } from '../../../shared/platform/digest.ts';
import type { SecretSet } from '../../../shared/platform/secret-source.ts';
import type { Stage, StageProvider } from '../../../shared/policy/stage.ts';
import { callbackOf } from '../../../shared/providers/callback.ts';
import type { Provider } from '../../../shared/providers/provider.ts';
import type { Explanation, Verification } from '../../../shared/signing/index.ts';
import { loadEvent, loadEvidence } from '../../../shared/store/event-store.ts';
import { loadQuarantined } from '../../../shared/store/quarantine-store.ts';
import type { Evidence } from '../../../shared/store/rows.ts';
import { type CapturedRequest, type CaptureReading, readCapture } from '../captured-request.ts';
import { addCommand, type Context, contextOf, withConnection } from '../command.ts';
import { openStage } from '../connect.ts';
import { explainCallback } from '../explain-callback.ts';
import { failed, misused, notFound } from '../failure.ts';
import { readMoment } from '../notation.ts';
import type { OpsWorld } from '../world.ts';
import { unknownQuarantined } from './quarantine.ts';

interface ExplainCommandOptions {
  readonly provider?: string;
  readonly body?: string;
  readonly header: readonly string[];
  readonly event?: string;
  readonly quarantined?: string;
  readonly at?: string;
}

/** `explain`: why a signature fails. */
export function addExplainCommand(program: Command, world: OpsWorld): void {
  addCommand(program, {
    name: 'explain',
    description:
      'Says why the signature of a captured callback fails: what was hashed, the likely cause, what to change.',
    examples: [
      'npx simhook explain request.http',
      'npx simhook explain qua_0123456789abcdef',
      `npx simhook explain "curl -H 'x-lf-md5: …' -d '{…}' https://example.org/callbacks/linksfield-csss"`,
      'npx simhook explain --provider eiotclub --body body.json',
    ],
    more: `The capture is a file, "-" for standard input, a curl line in quotes, or the id of a quarantined callback or of a
stored event; those are judged as of the moment at which they came. A file may hold a raw HTTP request, a curl
line, a Lambda event (payload 2.0) or the body alone. No secret is ever printed.
The exit code is 0 when the signature is good, 1 when it is not.`,
  })
    .argument('[capture]', 'file, "-", a curl line in quotes, or an id: qua_…, evt_…')
    .option('--provider <id>', 'whose callback it is, where the path does not tell')
    .option('--body <file>', 'the body alone, byte for byte; "-" is standard input')
    .option(
      '--header <line>',
      '"name: value"; may be repeated',
      (line: string, lines: readonly string[]) => [...lines, line],
      [],
    )
    .option('--event <id>', 'a stored event instead of a capture')
    .option('--quarantined <id>', 'a refused callback that is kept, instead of a capture')
    .option(
      '--at <time>',
      'when it arrived, to judge its age; default: when it came, for a stored one, else now',
    )
    .action(async (capture: string | undefined, options: ExplainCommandOptions, command: Command) => {
      await explain(capture ?? null, options, contextOf(command, world));
    });
}

async function explain(
  capture: string | null,
  options: ExplainCommandOptions,
  context: Context,
): Promise<void> {
  const { world, where } = context;
  const { stage, secrets: source } = await openStage(where, world);
  const subject = await readSubject(capture, options, context);
  const request = withHeaders(subject.request, options.header);
  const { provider, entry } = providerFor(request, options.provider ?? subject.provider, { stage, world });
  const secrets = await source.read(entry.id, 'callback');
  if (secrets.keys.length === 0) {
    const remedy =
      where.place.kind === 'stage'
        ? `set it with npx simhook secrets set --stage ${where.place.name}`
        : 'name the data folder with --data, or a stage file that holds it with --stage-file';
    throw failed(`there is no callback secret of ${entry.id}: ${remedy}`);
  }
  const now = world.clock();
  const at = options.at === undefined ? (subject.receivedAt ?? now) : readMoment('--at', options.at, now);
  const { variants, maxAge, maxFuture } = entry.callbacks.verification;
  const explanation = explainCallback(entry.id, request, secrets.keys, { variants, nowMs: at });
  const received = judgeAsReceived(
    request,
    { provider, entry, secrets },
    { now: at, variants, maxAge, maxFuture },
  );
  await show(explanation, { received, request, provider: entry.id, context });
  if (!explanation.verdict.ok || !received.ok)
    throw failed(
      `${entry.id} would not be believed: ${received.ok ? 'the signature is wrong' : received.reason}`,
    );
}

/** What is explained, with what is known of it beside its bytes. */
interface Subject {
  readonly request: CapturedRequest;
  readonly provider: string | null;
  readonly receivedAt: EpochMs | null;
}

async function readSubject(
  capture: string | null,
  options: ExplainCommandOptions,
  context: Context,
): Promise<Subject> {
  const given = [capture ?? undefined, options.body, options.event, options.quarantined];
  const [first, ...others] = given.filter((each) => each !== undefined);
  if (first === undefined)
    throw misused('nothing to explain: give a file, "-", a curl line in quotes, an id, or --body');
  if (others.length > 0)
    throw misused(
      'explain takes one thing: a capture, --body, --event or --quarantined; leave the others out',
    );
  const id = capture !== null && !existsSync(capture) ? capture : '';
  const event = options.event ?? (id.startsWith('evt_') ? id : undefined);
  if (event !== undefined) return fromStore(event, context);
  const quarantined = options.quarantined ?? (id.startsWith('qua_') ? id : undefined);
  if (quarantined !== undefined) return fromQuarantine(quarantined, context);
  return { request: await readRequest(first, options.body !== undefined, context.world), ...unknownOrigin };
}

const unknownOrigin = { provider: null, receivedAt: null } as const;

async function readRequest(capture: string, isBody: boolean, world: OpsWorld): Promise<CapturedRequest> {
  if (isBody) return { body: await readBytes(capture, world), headers: {}, path: null, form: 'body alone' };
  const isLine = /^\s*curl\s/.test(capture);
  const reading: CaptureReading = readCapture(
    isLine ? Buffer.from(capture) : await readBytes(capture, world),
  );
  if (reading.ok) return reading.request;
  throw misused(`the capture can't be read: ${reading.detail}`);
}

async function readBytes(path: string, world: OpsWorld): Promise<Uint8Array> {
  if (path === '-') return world.readStdin();
  if (!existsSync(path))
    throw notFound(`the file ${path} does not exist: check the path; a curl line goes in quotes`);
  return readFileSync(path);
}

async function fromStore(eventId: string, context: Context): Promise<Subject> {
  return withConnection(context, async ({ table }) => {
    const row = await loadEvent(table, eventId);
    if (row === null) throw notFound(`there is no event ${eventId}; npx simhook events lists them`);
    const evidence = await loadEvidence(table, row.value);
    if (evidence === null)
      throw notFound(`the callback of ${eventId} is older than evidence is kept (100 days)`);
    const { provider, receivedAt } = row.value.event;
    return { request: requestOf(evidence), provider, receivedAt };
  });
}

async function fromQuarantine(id: string, context: Context): Promise<Subject> {
  return withConnection(context, async ({ table }) => {
    const row = await loadQuarantined(table, id);
    if (row === null) throw unknownQuarantined(id);
    const { provider, receivedAt, evidence } = row.value;
    return { request: requestOf(evidence), provider, receivedAt };
  });
}

function requestOf({ body, headers, path }: Evidence): CapturedRequest {
  return { body, headers, path, form: 'HTTP request' };
}

function withHeaders(request: CapturedRequest, lines: readonly string[]): CapturedRequest {
  const added = lines.map((line) => {
    const at = line.indexOf(':');
    if (at < 1) throw misused(`--header is "${line.slice(0, 60)}", but it must be "name: value"`);
    return [line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim()] as const;
  });
  return { ...request, headers: { ...request.headers, ...Object.fromEntries(added) } };
}

function providerFor(
  request: CapturedRequest,
  named: string | null,
  parts: { readonly stage: Stage; readonly world: OpsWorld },
): { readonly provider: Provider; readonly entry: StageProvider } {
  const { stage, world } = parts;
  const ids = stage.providers.map(({ id }) => id).join(', ');
  const path = request.path?.replace(/\/+$/, '') ?? null;
  const entry = stage.providers.find(({ id, callbackPath }) =>
    named === null
      ? path !== null && (path === callbackPath || path.startsWith(`${callbackPath}/`))
      : id === named,
  );
  const provider = world.providers.find(({ id }) => id === entry?.id);
  if (entry && provider) return { provider, entry };
  if (named !== null) throw misused(`the stage has no provider "${named}"; it has ${ids}`);
  throw misused(`the capture does not tell whose callback it is: name it with --provider (${ids})`);
}

/** What receive itself says: path token, signature, variant and age together. */
function judgeAsReceived(
  request: CapturedRequest,
  who: { readonly provider: Provider; readonly entry: StageProvider; readonly secrets: SecretSet },
  options: Parameters<Provider['callbacks']['verify']>[2],
): Verification | { readonly ok: false; readonly reason: string; readonly detail: string } {
  const { provider, entry, secrets } = who;
  const token = request.path?.replace(/\/+$/, '').slice(entry.callbackPath.length + 1) ?? null;
  // A stored event's path is kept without its token, and a body alone has no path to judge.
  if (token !== null && token !== '' && !sameText(token, secrets.pathToken?.reveal() ?? '')) {
    return {
      ok: false,
      reason: 'wrong-path-token',
      detail: 'the last part of the path is not the token of this stage',
    };
  }
  const callback = callbackOf(request.body, request.headers);
  if (provider.callbacks.isUnsigned(callback)) {
    return { ok: false, reason: 'missing-signature', detail: 'the callback carries no signature' };
  }
  return provider.callbacks.verify(callback, secrets.keys, options);
}

async function show(
  explanation: Explanation,
  view: {
    readonly received: ReturnType<typeof judgeAsReceived>;
    readonly request: CapturedRequest;
    readonly provider: string;
    readonly context: Context;
  },
): Promise<void> {
  const { received, request, provider, context } = view;
  const { out } = context;
  const { verdict, likelyCause, hints, tried } = explanation;
  await out.value({
    provider,
    form: request.form,
    bodyBytes: request.body.byteLength,
    received,
    verdict,
    likelyCause,
    hints,
    tried,
  });
  const mark = received.ok ? out.paint.green('believed') : out.paint.red('refused');
  await out.line(`${mark}  ${provider}, ${request.form}, body of ${request.body.byteLength} bytes`);
  await out.line(
    received.ok ? `variant  ${received.variant}` : `reason   ${received.reason}: ${received.detail}`,
  );
  await out.line(`cause    ${out.paint.bold(likelyCause)}`);
  for (const hint of hints) await out.line(`         ${hint}`);
  if (tried.length === 0) return;
  await out.line('\nhashed text under each variant (the secret stands as <secret>):');
  for (const { variant, alsoVariants, text, digest } of tried) {
    const match = digest === null ? '' : out.paint.green(' ← gives the received signature');
    const also =
      alsoVariants.length === 0 ? '' : ` and ${alsoVariants.length} more that come to the same text`;
    await out.line(`  ${variant}${also}${match}`);
    await out.line(`    ${out.paint.dim(text)}`);
  }
}
