import { userKey } from '../../../shared/config/user-key.ts';
import { coefficientCount } from '../../../shared/lora/basis.ts';
import { initialPriorOf, type PreparedPrior, posteriorMean } from '../../../shared/lora/prior.ts';
import { addReward, emptyStatistics, type Statistics } from '../../../shared/lora/statistics.ts';
import { proposePrior } from '../../../shared/population/prior-fit.ts';
import { sampleOf } from '../../../shared/population/validation-fold.ts';
import type { FeatureTable } from './choice-row.ts';
import type { Row } from './rows.ts';

/** The reward model on the same clicks: every reward is 1, so that there is nothing to explain. */
export function rewardRow({ basis, psi }: FeatureTable): Row {
  const size = coefficientCount(basis);
  const users = new Map<string, Statistics>();
  const base = initialPriorOf(basis);
  let prior: PreparedPrior = base;
  return {
    learn({ user, items }) {
      const key = userKey(`${user}`);
      let statistics = users.get(key) ?? emptyStatistics(size);
      for (const item of items) statistics = addReward(statistics, psi[item]!, 1, 0);
      users.delete(key);
      users.set(key, statistics);
    },
    train() {
      const sample = sampleOf([...users.keys()].reverse());
      const proposal = proposePrior(
        prior,
        base,
        sample.map((key) => ({ userKey: key, statistics: users.get(key)! })),
      );
      if (proposal?.better) prior = proposal.prior;
    },
    scores(user, _, out) {
      const statistics = users.get(userKey(`${user}`));
      const m = statistics === undefined ? prior.mean : posteriorMean(statistics, prior);
      for (let item = 0; item < out.length; item++) {
        const row = psi[item]!;
        let sum = 0;
        for (let i = 0; i < size - 1; i++) sum += row[i]! * m[i]!;
        out[item] = sum;
      }
    },
  };
}
