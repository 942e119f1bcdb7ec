import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { describeWithEngine, dynamoDbLocalProblem } from '../support/engines.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

describeWithEngine('the whole system on DynamoDB Local and fauxqs', dynamoDbLocalProblem(), () => {
  it('plays every step of the scene through the real SDK and ends with 0', async () => {
    const folder = temporaryFolder();
    const start = [
      'infra/local/start.ts',
      '--exit',
      '--port',
      '0',
      '--engine',
      'wire',
      '--data',
      folder.path,
    ];
    const child = spawn(process.execPath, start, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const [code] = await once(child, 'close');
    folder.remove();
    expect(output.match(/provider order \S+, (USD|CNY) [\d.]+ charged/g) ?? [], output).toHaveLength(3);
    expect(output.match(/reports on act_/g) ?? [], output).toHaveLength(3);
    expect(code, output).toBe(0);
  });
});
