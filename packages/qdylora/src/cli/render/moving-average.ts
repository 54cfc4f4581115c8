/**
 * Exponential moving average that starts at the first value. Each call adds a value and returns the average.
 * Values that are not finite are ignored.
 *
 * @param newestWeight weight of the newest value after many values
 */
export function movingAverage(newestWeight: number): (value: number) => number {
  let weightedSum = 0;
  let totalWeight = 0;
  return (value) => {
    if (Number.isFinite(value)) {
      weightedSum = (1 - newestWeight) * weightedSum + newestWeight * value;
      totalWeight = (1 - newestWeight) * totalWeight + newestWeight;
    }
    return weightedSum / totalWeight;
  };
}
