import type { Command } from 'commander';
import type { EpochMs } from '../../../shared/core/time.ts';
import type { ReceivedMessage, WorkQueue } from '../../../shared/queue/work-queue.ts';
import type { Table } from '../../../shared/store/table.ts';
import { addCommand, type Context, contextOf, withConnection } from '../command.ts';
import { type Connection, queueNamed } from '../connect.ts';
import { causeOf, type LetterCause, type LetterVerdict, letterVerdicts } from '../dead-letter-cause.ts';
import { misused, notFound } from '../failure.ts';
import { isoMoment, readWhole, showMoment } from '../notation.ts';
import { startProgress } from '../progress.ts';
import type { OpsWorld } from '../world.ts';

/** Messages taken at once: what one receive gives. */
const batch = 10;

interface Filter {
  readonly only: LetterVerdict | null;
  readonly provider: string | null;
  /** Part of the id of the work. */
  readonly work: string | null;
}

interface FilterOptions {
  readonly only?: string;
  readonly provider?: string;
  readonly work?: string;
}

/** `dlq list`, `dlq show` and `dlq redrive`. */
export function addDeadLetterCommands(program: Command, world: OpsWorld): void {
  const group = program.command('dlq').description('Dead letters: messages that failed each time.');
  const list = addCommand(group, {
    name: 'list',
    description: 'Lists dead letters with what became of the work that they name.',
    examples: ['npx simhook dlq list', 'npx simhook dlq list actions-eiotclub --only open'],
  });
  withLetterFilter(list.argument('[queue]', 'events or actions-<provider>; default: all'))
    .option('--limit <n>', 'at most so many per queue', '100')
    .action(
      async (
        queue: string | undefined,
        options: FilterOptions & { readonly limit: string },
        command: Command,
      ) => {
        const context = contextOf(command, world);
        const limit = readWhole('--limit', options.limit, { min: 1, max: 100_000 });
        const filter = readFilter(options);
        await withConnection(context, (connection) =>
          listLetters(connection, { queue: queue ?? null, filter, limit }, context),
        );
      },
    );
  addCommand(group, {
    name: 'show',
    description: 'Shows one dead letter: its text and the work that it names.',
    examples: ['npx simhook dlq show events 42'],
  })
    .argument('<queue>')
    .argument('<message-id>')
    .action(async (queue: string, messageId: string, _options: object, command: Command) => {
      const context = contextOf(command, world);
      await withConnection(context, (connection) => showLetter(connection, { queue, messageId }, context));
    });
  addRedrive(group, world);
}

interface RedriveOptions extends FilterOptions {
  readonly rate: string;
  readonly dryRun: boolean;
  readonly dropUseless: boolean;
}

function addRedrive(group: Command, world: OpsWorld): void {
  const redrive = addCommand(group, {
    name: 'redrive',
    description: 'Sends dead letters back to their queue; drops those whose work is done already.',
    examples: ['npx simhook dlq redrive --dry-run', 'npx simhook dlq redrive actions-eiotclub --rate 10'],
    more: `A letter is sent back first and removed after, so none is lost; one that is sent twice does no harm, since it only
names the work. After Ctrl-C run it again: the rest is still there.`,
  });
  withLetterFilter(redrive.argument('[queue]', 'events or actions-<provider>; default: all'))
    .option('--rate <n>', 'at most so many a second', '50')
    .option('--dry-run', 'only say what would happen', false)
    .option('--drop-useless', 'also drop letters that are unreadable or name work that is not stored', false)
    .action(async (queue: string | undefined, options: RedriveOptions, command: Command) => {
      const context = contextOf(command, world);
      const wanted = {
        rate: readWhole('--rate', options.rate, { min: 1, max: 10_000 }),
        filter: readFilter(options),
        dryRun: options.dryRun,
        dropUseless: options.dropUseless,
      };
      await withConnection(context, (connection) => redriveAll(connection, queue ?? null, wanted, context));
    });
}

function withLetterFilter(command: Command): Command {
  return command
    .option('--only <verdict>', `only: ${letterVerdicts.join(', ')}`)
    .option('--provider <id>', 'only of this provider')
    .option('--work <text>', 'only where the id of the event or action has this text');
}

function readFilter(options: FilterOptions): Filter {
  const only = letterVerdicts.find((verdict) => verdict === options.only) ?? null;
  if (options.only !== undefined && only === null) {
    throw misused(`--only is "${options.only}", but it must be one of ${letterVerdicts.join(', ')}`);
  }
  return { only, provider: options.provider ?? null, work: options.work ?? null };
}

function passes(cause: LetterCause, filter: Filter): boolean {
  return (
    (filter.only === null || cause.verdict === filter.only) &&
    (filter.provider === null || cause.provider === filter.provider) &&
    (filter.work === null || (cause.item?.id.includes(filter.work) ?? false))
  );
}

interface Letter {
  readonly queue: string;
  readonly message: ReceivedMessage;
  readonly cause: LetterCause;
}

/** Takes letters out of sight one batch after the other; whoever takes them gives back what it does not settle. */
async function* takeLetters(
  queue: { readonly name: string; readonly letters: WorkQueue },
  table: Table,
): AsyncGenerator<readonly Letter[]> {
  for (;;) {
    const messages = await queue.letters.receive(batch);
    if (messages.length === 0) return;
    yield await Promise.all(
      messages.map(async (message) => ({
        queue: queue.name,
        message,
        cause: await causeOf(message.body, table),
      })),
    );
  }
}

function chosenQueues(connection: Connection, name: string | null): readonly string[] {
  if (name === null) return [...connection.deadLetters.keys()];
  queueNamed(connection.deadLetters, name);
  return [name];
}

async function listLetters(
  connection: Connection,
  wanted: { readonly queue: string | null; readonly filter: Filter; readonly limit: number },
  context: Context,
): Promise<void> {
  const { out } = context;
  for (const name of chosenQueues(connection, wanted.queue)) {
    const letters = queueNamed(connection.deadLetters, name);
    const { visible, inFlight } = await letters.depth();
    const found = await look(letters, { ...wanted, name }, { connection, world: context.world });
    for (const letter of found) await out.value(letterJson(letter));
    const hidden = inFlight > 0 ? `, ${inFlight} in someone's hands` : '';
    await out.line(`${out.paint.bold(name)}: ${visible} dead letters${hidden}`);
    if (found.length > 0) await out.table(columns, found.map(cellsOf));
  }
}

/** Reads letters and gives them all back, whatever happens. */
async function look(
  letters: WorkQueue,
  wanted: { readonly name: string; readonly filter: Filter; readonly limit: number },
  parts: { readonly connection: Connection; readonly world: OpsWorld },
): Promise<readonly Letter[]> {
  const taken: string[] = [];
  const found: Letter[] = [];
  try {
    for await (const some of takeLetters({ name: wanted.name, letters }, parts.connection.table)) {
      taken.push(...some.map(({ message }) => message.receipt));
      found.push(...some.filter(({ cause }) => passes(cause, wanted.filter)));
      if (found.length >= wanted.limit || parts.world.signal.aborted) break;
    }
  } finally {
    await letters.release(taken);
  }
  return found.slice(0, wanted.limit);
}

const columns = [
  { title: 'message' },
  { title: 'first sent' },
  { title: 'worth' },
  { title: 'work' },
  { title: 'cause' },
];

function cellsOf({ message, cause }: Letter): readonly string[] {
  const sent = showMoment(message.sentAtMs as EpochMs);
  return [message.messageId, sent, cause.verdict, cause.item?.id ?? '-', cause.text];
}

function letterJson({ queue, message, cause }: Letter): object {
  const { messageId, body, groupId, sentAtMs } = message;
  return { queue, messageId, sentAt: isoMoment(sentAtMs as EpochMs), groupId, body, ...cause };
}

async function showLetter(
  connection: Connection,
  wanted: { readonly queue: string; readonly messageId: string },
  context: Context,
): Promise<void> {
  const { out, world } = context;
  const letters = queueNamed(connection.deadLetters, wanted.queue);
  const filter: Filter = { only: null, provider: null, work: null };
  const all = await look(letters, { name: wanted.queue, filter, limit: 100_000 }, { connection, world });
  const letter = all.find(({ message }) => message.messageId === wanted.messageId);
  if (letter === undefined) {
    throw notFound(
      `the dead letters of ${wanted.queue} have no message ${wanted.messageId}; npx simhook dlq list shows them`,
    );
  }
  await out.value(letterJson(letter));
  const { message, cause } = letter;
  await out.line(`message     ${message.messageId} of ${wanted.queue}`);
  await out.line(
    `first sent  ${showMoment(message.sentAtMs as EpochMs)}, delivered ${message.receiveCount} times`,
  );
  await out.line(`worth       ${cause.verdict}`);
  await out.line(`cause       ${cause.text}`);
  await out.line(`text        ${message.body}`);
  if (cause.item !== null)
    await out.line(`\nlook at it: npx simhook ${cause.item.kind} show ${cause.item.id}`);
}

interface Redrive {
  readonly rate: number;
  readonly filter: Filter;
  readonly dryRun: boolean;
  readonly dropUseless: boolean;
}

type Fate = 'sent back' | 'dropped' | 'left';

async function redriveAll(
  connection: Connection,
  name: string | null,
  wanted: Redrive,
  context: Context,
): Promise<void> {
  const { out, world } = context;
  for (const queue of chosenQueues(connection, name)) {
    const counts = new Map<string, number>();
    await redriveQueue(connection, queue, wanted, {
      world,
      tell: (letter, fate) => {
        const label = `${fate}: ${letter.cause.verdict}`;
        counts.set(label, (counts.get(label) ?? 0) + 1);
      },
    });
    await out.value({ queue, dryRun: wanted.dryRun, outcomes: Object.fromEntries(counts) });
    const would = wanted.dryRun ? ' (dry run, nothing changed)' : '';
    await out.line(`${out.paint.bold(queue)}${would}: ${counts.size === 0 ? 'no dead letters' : ''}`);
    for (const [label, n] of counts) await out.line(`  ${String(n).padStart(6)}  ${label}`);
    if (world.signal.aborted) {
      out.note('interrupted; the rest is still there, run it again');
      return;
    }
  }
}

interface Watcher {
  readonly world: OpsWorld;
  readonly tell: (letter: Letter, fate: Fate) => void;
}

/** Batch by batch: sent back, then removed. What is left alone is given back at the end, so that none is met twice. */
async function redriveQueue(
  connection: Connection,
  name: string,
  wanted: Redrive,
  { world, tell }: Watcher,
): Promise<void> {
  const letters = queueNamed(connection.deadLetters, name);
  const queue = queueNamed(connection.queues, name);
  const { visible } = await letters.depth();
  const progress = startProgress(world, `redriving ${name}`);
  const left: string[] = [];
  let seen = 0;
  try {
    for await (const some of takeLetters({ name, letters }, connection.table)) {
      const fates = some.map((letter) => ({ letter, fate: fateOf(letter.cause, wanted) }));
      const back = fates.filter(({ fate }) => fate === 'sent back').map(({ letter }) => letter.message);
      const settled = fates.filter(({ fate }) => fate !== 'left').map(({ letter }) => letter.message.receipt);
      if (wanted.dryRun) left.push(...some.map(({ message }) => message.receipt));
      else {
        // Until they are removed or released they stay out of sight, and then come back by themselves.
        if (back.length > 0) await queue.send(back.map(toWorkMessage));
        await letters.acknowledge(settled);
        left.push(...fates.filter(({ fate }) => fate === 'left').map(({ letter }) => letter.message.receipt));
      }
      for (const { letter, fate } of fates) tell(letter, fate);
      seen += some.length;
      progress.at(seen, { total: Math.max(seen, visible) });
      if (!wanted.dryRun && back.length > 0) await world.sleep((back.length * 1_000) / wanted.rate);
      if (world.signal.aborted) break;
    }
  } finally {
    progress.end();
    await letters.release(left);
  }
}

function toWorkMessage({ body, groupId }: ReceivedMessage) {
  return { body, groupId: groupId ?? 'redrive', delaySec: 0 };
}

function fateOf(cause: LetterCause, wanted: Redrive): Fate {
  if (!passes(cause, wanted.filter)) return 'left';
  switch (cause.verdict) {
    case 'open':
      return 'sent back';
    case 'done':
    case 'waits':
      return 'dropped';
    case 'unknown-work':
    case 'unreadable':
      return wanted.dropUseless ? 'dropped' : 'left';
    default: {
      const never: never = cause.verdict;
      throw new Error(`unknown verdict: ${String(never)}`);
    }
  }
}
