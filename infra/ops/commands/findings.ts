import type { Command } from 'commander';
import { type Finding, listFindings, resolveFinding } from '../../../shared/store/finding-store.ts';
import { addCommand, type Context, contextOf, withConnection } from '../command.ts';
import { conflict, notFound } from '../failure.ts';
import { isoMoment, showMoment } from '../notation.ts';
import type { OpsWorld } from '../world.ts';
import { readReason } from './actions.ts';

/** `findings` and `finding resolve`. */
export function addFindingCommands(program: Command, world: OpsWorld): void {
  addCommand(program, {
    name: 'findings',
    description: "Where the providers' own order records and the ledger differ, as reconciliation found it.",
    examples: ['npx simhook findings', 'npx simhook findings --all --json'],
  })
    .option('--all', 'resolved ones too', false)
    .action(async (options: { readonly all: boolean }, command: Command) => {
      const context = contextOf(command, world);
      await withConnection(context, async ({ table }) => {
        const rows: Finding[] = [];
        for await (const { value } of listFindings(table, options.all ? 'all' : 'open', world.clock())) {
          rows.push(value);
          await context.out.value(value);
        }
        await showFindings(rows, context);
      });
    });
  const group = program.command('finding').description('One finding.');
  addCommand(group, {
    name: 'resolve',
    description: 'Closes a finding that a human has looked into; it is not opened again.',
    examples: ['npx simhook finding resolve fnd_0123 --reason "bought by hand for a customer"'],
  })
    .argument('<id>')
    .requiredOption('--reason <text>', 'why')
    .action(async (id: string, options: { readonly reason: string }, command: Command) => {
      const context = contextOf(command, world);
      const closed = { at: world.clock(), by: context.by, how: readReason(options.reason) };
      await withConnection(context, async ({ table }) => {
        const result = await resolveFinding(table, id, closed);
        if (result === 'not-found')
          throw notFound(`there is no finding ${id}; npx simhook findings lists them`);
        if (result === 'not-open') throw conflict(`finding ${id} is closed already`);
        if (result === 'conflict')
          throw conflict(`finding ${id} was changed by someone else just now; try again`);
        await context.out.value({ findingId: id, ...closed });
        await context.out.line(`finding ${id} is closed`);
      });
    });
}

async function showFindings(rows: readonly Finding[], { out }: Context): Promise<void> {
  if (rows.length === 0) return out.line('no findings: the records of the providers and the ledger agree');
  await out.table(
    [
      { title: 'seen' },
      { title: 'finding' },
      { title: 'provider' },
      { title: 'SIM' },
      { title: 'what' },
      { title: 'state' },
    ],
    rows.map((row) => [
      showMoment(row.firstSeenAt),
      row.findingId,
      row.provider,
      row.simId,
      `${row.kind}: ${row.detail}`,
      row.state.name === 'open' ? 'open' : `resolved ${isoMoment(row.state.at)} by ${row.state.by}`,
    ]),
  );
}
