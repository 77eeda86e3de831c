/**
 * A matrix trained by gradient descent, with its anchor: earlier parameters that it is pulled
 * towards.
 */
export interface ElasticMatrix {
  /** θ. */
  readonly values: Float32Array;
  /** θ*, the parameters at the last move of the anchor. */
  readonly anchor: Float32Array;
  /** F, diagonal Fisher information, from the squared gradient of the data loss. */
  readonly fisher: Float32Array;
}

/** Steps after which the parameters become the new anchor, which ends a task of online EWC. */
export const CONSOLIDATION_STEPS = 20;
/** γ, the share of the Fisher information that a move of the anchor keeps. */
const FISHER_KEPT = 0.9;
const KEPT_PER_STEP = FISHER_KEPT ** (1 / CONSOLIDATION_STEPS);

export interface ElasticStepOptions {
  readonly rate: number;
  readonly strength: number;
  readonly unit: number;
  readonly consolidate: boolean;
}

/** A matrix without any pull yet. */
export function elasticMatrix(values: Float32Array): ElasticMatrix {
  return { values, anchor: values, fisher: new Float32Array(values.length) };
}

/**
 * One step of gradient descent with elastic weight consolidation (Kirkpatrick et al., PNAS 114(13),
 * 2017), online as in Schwarz et al. (Progress & Compress, ICML 2018). The penalty λ/2·ΣF(θ − θ*)²
 * is a proximal step after the step on the data,
 *
 * θ ← (θ − ηg + ηλF·θ*)/(1 + ηλF),
 *
 * so it pulls towards θ* without overshooting, however large ηλF is. F comes from the data gradient
 * alone. From one consolidation to the next it becomes γF plus the mean of g² (their eq. 5), a
 * share at every step.
 * @param gradient of the data loss with respect to unit·θ
 * @param clip factor that shortens the gradient to g
 * @param options rate η, strength λ, the unit, and whether the result becomes the new anchor
 */
export function elasticStep(
  { values, anchor, fisher }: ElasticMatrix,
  gradient: Float64Array,
  clip: number,
  { rate, strength, unit, consolidate }: ElasticStepOptions,
): ElasticMatrix {
  const nextValues = new Float32Array(values.length);
  const nextFisher = new Float32Array(values.length);
  const pull = rate * strength;
  const step = rate / unit;
  for (let i = 0; i < values.length; i++) {
    const g = clip * gradient[i]!;
    const f = fisher[i]!;
    const tie = pull * f;
    nextValues[i] = (values[i]! - step * g + tie * anchor[i]!) / (1 + tie);
    nextFisher[i] = KEPT_PER_STEP * f + (g * g) / CONSOLIDATION_STEPS;
  }
  return { values: nextValues, anchor: consolidate ? nextValues : anchor, fisher: nextFisher };
}
