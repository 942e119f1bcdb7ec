import type { EpochMs } from '../../shared/core/time.ts';
import type { Random } from '../../shared/platform/random.ts';
import type { Stage, StageSecrets } from '../../shared/policy/stage.ts';
import { Secret, signEiotclubCallback } from '../../shared/signing/index.ts';

export interface SampleOptions {
  readonly front: string;
  /** The data folder; the command line takes the usual one by itself. */
  readonly data: string;
  readonly stage: Stage;
  readonly secrets: Readonly<Record<string, StageSecrets>>;
  readonly now: EpochMs;
  readonly random: Random;
}

/** How a newcomer sends a callback: a `curl` line that is signed and works as printed. */
export function sampleCallback(options: SampleOptions): string {
  const { front, data, stage, secrets, now, random } = options;
  const provider = stage.providers.find((p) => p.id === 'eiotclub');
  const key = secrets.eiotclub?.callback[0];
  if (!provider || !key) return '\nready; Ctrl-C stops it';
  const body = {
    event: 'FlowAlert',
    id: random.hex(12),
    timestamp: Math.floor(now / 1_000),
    nonce: random.integer(10_000, 99_999),
    iccid: `898523${String(now).slice(0, 13)}4`,
    alert_type: 1,
    alert_value: '42',
  };
  const signed = signEiotclubCallback(body, new Secret(key.value));
  if (!signed.ok) throw new Error(`the sample could not be signed: ${signed.detail}`);
  const where = data === '.simhook' ? '' : ` --data ${data}`;
  return [
    '',
    'Now send one yourself (signed, good for three days):',
    '',
    `  curl -i -H 'content-type: application/json' -d '${JSON.stringify({ ...body, sign: signed.sign })}' ${front}${provider.callbackPath}`,
    '',
    'or with fields of your own:',
    '',
    `  npx simhook send eiotclub FlowAlert iccid=89852000263320817044 alert_type=2 alert_value=9${where}`,
    '',
    'Ctrl-C stops it.',
  ].join('\n');
}
