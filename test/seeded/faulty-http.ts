import type { DurationMs } from '../../shared/core/time.ts';
import type {
  HttpOptions,
  HttpRequest,
  HttpResult,
  OpenHttp,
  SendLimits,
} from '../../shared/providers/http-client.ts';
import type { ApiRequest } from '../provider-simulator/api-handler.ts';
import type { ProviderName } from '../provider-simulator/books.ts';
import type { Exchange, Fault } from '../provider-simulator/faults.ts';
import { providerOf, type Simulator } from '../provider-simulator/simulator.ts';
import { type Sim, step, type Worker } from './worker.ts';

export interface Wire {
  readonly simulator: Simulator;
  /** The provider's clock minus ours, in ms. */
  readonly providerSkewMs: () => number;
  /** How late an order may appear, by provider: a fault never goes beyond unless `breaksPromises`. */
  readonly lateCommitMs: Readonly<Record<ProviderName, number>>;
  /** True lets the provider break what its profile promises; invariants about money are then not asserted. */
  readonly breaksPromises: boolean;
  /** Told when a request reaches the provider, before and after it is answered. */
  readonly onArrival: (worker: Worker, request: ApiRequest, play: () => Exchange) => Exchange;
  /** Told when a request leaves. */
  readonly onSend: (worker: Worker, provider: ProviderName) => void;
}

const paid = /\/(orderPackage|batchOrderPackages|renewPackage|createOtaOrder|orders\/service|bundle)$/;

/** Ways to the provider that run on virtual time: latency, lost requests and answers, time-outs, and its own faults. */
export function faultyHttp(sim: Sim, worker: Worker, wire: Wire): OpenHttp {
  return (options) => ({
    send: (request, limits) => send({ sim, worker, wire }, options, request, limits),
    close: async () => undefined,
  });
}

interface Context {
  readonly sim: Sim;
  readonly worker: Worker;
  readonly wire: Wire;
}

async function send(
  context: Context,
  options: HttpOptions,
  request: HttpRequest,
  { deadlineMs, tooLate }: SendLimits,
): Promise<HttpResult> {
  const { sim, worker, wire } = context;
  const path = new URL(options.baseUrl).pathname.replace(/\/$/, '') + request.path;
  const provider = providerOf(path);
  if (provider === null) throw new Error(`no provider of the simulator has the path ${path}`);
  const call = `${request.method} ${path}`;
  const refused = await step(sim, worker, { what: `connect for ${call}`, mayFreeze: false }, async () =>
    sim.chance.strikes('connect-refused', 0.3),
  );
  if (refused) return { kind: 'not-sent', code: 'ECONNREFUSED', message: 'the connection was refused' };
  if (tooLate()) return { kind: 'not-sent', code: 'too-late', message: 'the worker was held up' };
  wire.onSend(worker, provider);
  const api: ApiRequest = {
    method: request.method,
    path,
    query: { ...request.query },
    headers: { ...request.headers },
    bodyText: request.body ?? '',
  };
  const result = await travel(context, { api, provider, isPaid: paid.test(path) }, options, deadlineMs);
  return step(
    sim,
    worker,
    { what: `read the answer of ${call}: ${summary(result)}`, mayFreeze: true },
    async () => result,
  );
}

function summary(result: HttpResult): string {
  return result.kind === 'reply'
    ? `${result.status} ${result.bodyText.slice(0, 60)}`
    : `${result.kind} ${result.code}`;
}

interface Call {
  readonly api: ApiRequest;
  readonly provider: ProviderName;
  readonly isPaid: boolean;
}

/** Work of before the machine's sleep is done with within this. */
const wakeMs = 120_000;

const lost = (code: string): HttpResult => ({ kind: 'lost', code, message: 'no complete answer came' });

/** The request goes its way whatever becomes of the worker; the worker gets what arrives before its deadline. */
function travel(
  { sim, worker, wire }: Context,
  call: Call,
  options: HttpOptions,
  deadlineMs: DurationMs,
): Promise<HttpResult> {
  const { scheduler, chance, random } = sim;
  const lateAllowed = wire.lateCommitMs[call.provider] * (wire.breaksPromises ? 16 : 0.95);
  return new Promise((resolve) => {
    let over = false;
    const settle = (result: HttpResult): void => {
      if (over || !worker.alive) return;
      over = true;
      cancel();
      resolve(result);
    };
    const cancel = scheduler.after(deadlineMs, () => settle(lost('timeout')));
    // A worker that was cut off by the machine's sleep may send at the wake; that its order is late on top of it is one
    // thing too many (README, D6).
    const justWoke = scheduler.now() - scheduler.wokeAt() < wakeMs;
    const lateMax = justWoke ? 0 : lateAllowed;
    const stuck = call.isPaid && !justWoke && chance.strikes('request-stuck', 1.5);
    const leg = stuck ? random.integer(1_000, Math.floor(lateMax / 2)) : random.integer(3, 40);
    scheduler.outside(leg, () => {
      const exchange = wire.onArrival(worker, call.api, () => play({ sim, wire }, call, lateMax / 2));
      answerTo(exchange, { sim, options, settle });
    });
  });
}

function play({ sim, wire }: Pick<Context, 'sim' | 'wire'>, call: Call, lateMaxMs: number): Exchange {
  const fault = drawFault(sim, call, { lateMaxMs, breaksPromises: wire.breaksPromises });
  if (fault !== null) wire.simulator.faults.add({ match: () => true, times: 1, fault });
  const exchange = wire.simulator.exchange(call.api, sim.scheduler.now() + wire.providerSkewMs());
  wire.simulator.faults.clear();
  sim.trace.note(
    sim.scheduler.now(),
    call.provider,
    `${call.isPaid ? 'PAID ' : ''}${call.api.path} ${fault === null ? '' : `[${fault.kind}] `}${exchange.kind}`,
  );
  return exchange;
}

function answerTo(
  exchange: Exchange,
  {
    sim,
    options,
    settle,
  }: { readonly sim: Sim; readonly options: HttpOptions; readonly settle: (result: HttpResult) => void },
): void {
  const { scheduler, random } = sim;
  switch (exchange.kind) {
    case 'hang':
      return;
    case 'drop':
      scheduler.after(random.integer(1, 20), () => settle(lost('ECONNRESET')));
      return;
    case 'unreachable':
      settle({ kind: 'not-sent', code: 'ECONNREFUSED', message: 'nobody listens' });
      return;
    case 'reply': {
      const { reply, cutAfterBytes, delayMs } = exchange;
      const result: HttpResult =
        cutAfterBytes !== null
          ? lost('ECONNRESET')
          : reply.bodyText.length > options.replyBytesMax
            ? lost('reply-too-large')
            : { kind: 'reply', ...reply };
      scheduler.after(delayMs + random.integer(3, 40), () => settle(result));
      return;
    }
    default: {
      const never: never = exchange;
      throw new Error(`unknown exchange ${JSON.stringify(never)}`);
    }
  }
}

/** The provider's own fault for this request; null when it answers properly. */
function drawFault(
  sim: Sim,
  { isPaid, provider }: Call,
  { lateMaxMs, breaksPromises }: { readonly lateMaxMs: number; readonly breaksPromises: boolean },
): Fault | null {
  const { chance, random } = sim;
  const commit = random.fraction() < 0.5;
  const status = [500, 502, 503, 504][random.integer(0, 3)] ?? 500;
  const often = isPaid ? 1.2 : 0.4;
  if (chance.strikes('provider-hang', often)) return { kind: 'hang', commit };
  if (chance.strikes('provider-drop', often)) return { kind: 'drop', commit };
  if (chance.strikes('answer-after-timeout', often))
    return { kind: 'slow', afterMs: random.integer(16_000, 120_000) };
  if (chance.strikes('provider-slow', often)) return { kind: 'slow', afterMs: random.integer(500, 14_000) };
  if (chance.strikes('provider-5xx', often)) return { kind: 'http-error', status, commit: false };
  if (chance.strikes('provider-5xx-after-commit', often)) return { kind: 'http-error', status, commit: true };
  if (chance.strikes('provider-unreadable', often)) return unreadable(sim, commit);
  if (chance.strikes('provider-rate-limit', often))
    return { kind: 'rate-limit', retryAfterSec: commit ? random.integer(1, 90) : null };
  if (!isPaid) return null;
  if (chance.strikes('provider-refusal', 0.5))
    return provider === 'eiotclub'
      ? { kind: 'refuse', code: '41028', message: 'card does not have this package' }
      : { kind: 'refuse', code: '2004', message: 'order state does not allow it' };
  if (breaksPromises && chance.strikes('provider-forgets', 1.5))
    return { kind: 'commit-late', afterMs: Number.POSITIVE_INFINITY, answer: commit ? 'drop' : 'http-500' };
  if (lateMaxMs > 0 && chance.strikes('provider-late-records', 1.5)) {
    const answer = (['good', 'hang', 'drop', 'http-500'] as const)[random.integer(0, 3)] ?? 'good';
    return { kind: 'commit-late', afterMs: random.integer(1_000, Math.floor(lateMaxMs)), answer };
  }
  return null;
}

function unreadable({ random }: Sim, commit: boolean): Fault {
  const kinds: readonly Fault[] = [
    { kind: 'malformed-json', commit },
    { kind: 'html', status: 502, commit },
    { kind: 'html', status: 200, commit },
    { kind: 'truncated', bytes: 10, commit },
    { kind: 'error-body', code: '500', message: 'system busy, try again later', commit },
    { kind: 'huge-body', bytes: 1_100_000, commit },
    { kind: 'redirect', location: 'http://127.0.0.1:1/elsewhere' },
  ];
  return kinds[random.integer(0, kinds.length - 1)] ?? { kind: 'hang', commit };
}
