import type { Command } from 'commander';
import { stageJsonSchema } from '../../../shared/policy/stage.ts';
import { addCommand, contextOf } from '../command.ts';
import { loadStage } from '../connect.ts';
import type { OpsWorld } from '../world.ts';

/** `schema` and `check-stage`. */
export function addSchemaCommands(program: Command, world: OpsWorld): void {
  addCommand(program, {
    name: 'schema',
    description: 'Prints the JSON Schema of a stage file, for editors.',
    examples: ['npx simhook schema > stage.schema.json'],
  }).action(async () => {
    await world.terminal.write(`${JSON.stringify(stageJsonSchema(), null, 2)}\n`);
  });
  addCommand(program, {
    name: 'check-stage',
    description: 'Checks a stage file as a start would, and says what it holds.',
    examples: ['npx simhook check-stage my-stage.json'],
  })
    .argument('<file>', 'the stage as JSON or TypeScript')
    .action(async (file: string, _options: object, command: Command) => {
      const { out } = contextOf(command, world);
      const stage = await loadStage(file, world);
      const { version, rules } = stage.policy;
      const providers = stage.providers.map(({ id, callbackPath }) => ({ id, callbackPath }));
      await out.value({
        ok: true,
        stage: stage.name,
        policyVersion: version,
        providers,
        rules: rules.map(({ ruleId, provider, enabled }) => ({ ruleId, provider, enabled })),
      });
      await out.line(`${out.paint.green('good')}: stage "${stage.name}", rules ${version}`);
      for (const provider of providers)
        await out.line(`  provider ${provider.id}, callbacks at ${provider.callbackPath}`);
      for (const rule of rules) {
        await out.line(
          `  rule ${rule.ruleId}: ${rule.provider} ${rule.when.kind} → ${rule.action}${rule.enabled ? '' : ' (off)'}`,
        );
      }
    });
}
