import { defineStage } from '../../shared/policy/stage.ts';
import { defineDeployment } from '../aws/deployment.ts';

/**
 * An example of a deployed stage: put your own accounts, plans and caps. Every field is described in the README,
 * "Rules". Secrets are not here: `npx simhook secrets set` writes them to Secrets Manager.
 */
export default defineStage({
  name: 'production',
  providers: {
    eiotclub: {
      currency: 'USD',
      settings: {},
      caps: {
        sim: { day: '20.00 USD', month: '60.00 USD' },
        provider: { day: '1000.00 USD', month: '15000.00 USD' },
      },
    },
    'linksfield-csss': {
      currency: 'CNY',
      settings: { accessCode: 'P000270' },
      // Order status changes are documented as not signed; they come on a secret path and are confirmed by a query.
      callbacks: { acceptUnsigned: true },
      caps: { sim: { day: '200.00 CNY' }, provider: { day: '5000.00 CNY', month: '80000.00 CNY' } },
    },
    'linksfield-cube': {
      currency: 'CNY',
      settings: {},
      caps: { sim: { day: '100.00 CNY' }, provider: { day: '2000.00 CNY' } },
    },
  },
  rules: [
    {
      id: 'renew-low-data',
      provider: 'eiotclub',
      when: { kind: 'usage-alert', alerts: ['low-data', 'low-data-percent', 'expiring'] },
      do: { kind: 'renew', plan: { packageCode: 'PKG001' } },
      maxCost: '5.00 USD',
      cooldown: '12h',
    },
    {
      id: 'ota-plan-when-none-is-left',
      provider: 'linksfield-csss',
      when: { kind: 'plan-reminder', warnings: ['no-plan', 'expired'] },
      do: {
        kind: 'order-ota',
        plan: {
          packageCode: 'DP20201218003915',
          packageName: 'T_T_T_0_P_S_中国100G/365天套餐',
          packageType: '1',
          payAmount: '99.00',
          days: 364,
        },
      },
      maxCost: '99.00 CNY',
      cooldown: '7d',
      approval: true,
    },
  ],
});

/** Pin `account` and `region`, so that this stage can't land anywhere else. */
export const aws = defineDeployment({
  silence: { eiotclub: '12h' },
});
