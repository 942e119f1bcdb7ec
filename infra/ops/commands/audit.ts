import type { Command } from 'commander';
import { utcMonth } from '../../../shared/core/time.ts';
import { auditLedger } from '../../../shared/store/ledger-audit.ts';
import { addCommand, contextOf, withConnection } from '../command.ts';
import { failed, misused } from '../failure.ts';
import type { OpsWorld } from '../world.ts';

/** `audit`. */
export function addAuditCommand(program: Command, world: OpsWorld): void {
  addCommand(program, {
    name: 'audit',
    description: 'Adds up every booking of a month and compares it with the sums that the caps are held by.',
    examples: ['npx simhook audit', 'npx simhook audit --month 2026-10'],
    more: 'Months are those of UTC. A purchase that goes on meanwhile can show as a difference: run it again.',
  })
    .option('--month <yyyy-mm>', 'the month; this one when left out')
    .action(async (options: { readonly month?: string }, command: Command) => {
      const context = contextOf(command, world);
      const now = world.clock();
      const month = options.month ?? utcMonth(now);
      if (!/^\d{4}-(0[1-9]|1[0-2])$/.test(month)) {
        throw misused(`--month is a year and a month such as 2026-11, but this is "${month}"`);
      }
      await withConnection(context, async ({ table, stage, onUnreadable }) => {
        const providers = stage.providers.map((provider) => provider.id);
        const audit = await auditLedger(table, { month, providers, now }, onUnreadable);
        await context.out.value(audit);
        if (audit.differences.length === 0) {
          await context.out.line(
            `the ledger of ${month} is right: ${audit.actions} actions add up to what is stored`,
          );
          return;
        }
        const first = audit.differences[0];
        throw failed(
          `the ledger of ${month} has ${audit.differences.length} differences, the first: ${first?.place}: booked ${first?.booked}, stored ${first?.stored}`,
        );
      });
    });
}
