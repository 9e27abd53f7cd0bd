//! Which of many to look at: pure arithmetic.

/// Picks at most `most` of the indices below `count`, evenly spread.
pub fn spread(count: usize, most: usize) -> Vec<usize> {
    let most = most.min(count);
    (0..most).map(|nth| (2 * nth + 1) * count / (2 * most)).collect()
}

/// Spreads `picks` evenly over the sum of the sizes. Returns how many each size gets.
pub fn proportional(sizes: &[f64], picks: usize) -> Vec<usize> {
    let step = sizes.iter().sum::<f64>() / picks.max(1) as f64;
    let (mut before, mut reached) = (0, 0.0);
    let pick = |size: &f64| {
        reached += size;
        let until = ((reached / step + 0.5).floor() as usize).min(picks);
        let own = until - before;
        before = until;
        own
    };
    sizes.iter().map(pick).collect()
}

/// A share of the requests that are left, rounded up.
pub fn share(left: usize, share: f64) -> usize {
    (left as f64 * share).ceil() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_all() {
        assert_eq!(spread(9, 3), [1, 4, 7]);
        assert_eq!(spread(2, 5), [0, 1]);
        assert_eq!(spread(0, 5), Vec::<usize>::new());
    }

    #[test]
    fn picks_are_proportional_to_sizes_and_add_up() {
        assert_eq!(proportional(&[10.0, 80.0, 10.0], 5), [1, 4, 0]);
        assert_eq!(proportional(&[1.0; 100], 10).iter().sum::<usize>(), 10);
        assert_eq!(proportional(&[], 10), Vec::<usize>::new());
    }
}
