//! Against the definition.

use super::*;

fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| random.f32() - 0.5).collect()
}

/// Calls `with` for all that meet: places of input, filter, output.
fn meetings(of: &Dense, mut with: impl FnMut(usize, usize, usize)) {
    let Dense { input: [batch, channels, height, width], filters, kernel, padding, stride } = *of;
    let [.., rows, columns] = of.output();
    let pixels = |height: usize, width: usize| (0..height).flat_map(move |y| (0..width).map(move |x| [y, x]));
    for (image, out) in (0..batch).flat_map(|image| (0..filters).map(move |out| (image, out))) {
        for (read, [row, column]) in
            (0..channels).flat_map(|read| pixels(rows, columns).map(move |at| (read, at)))
        {
            for [tap_y, tap_x] in pixels(kernel, kernel) {
                let y = (row * stride + tap_y).wrapping_sub(padding);
                let x = (column * stride + tap_x).wrapping_sub(padding);
                if y < height && x < width {
                    with(
                        ((image * channels + read) * height + y) * width + x,
                        ((out * channels + read) * kernel + tap_y) * kernel + tap_x,
                        ((image * filters + out) * rows + row) * columns + column,
                    );
                }
            }
        }
    }
}

#[test]
fn agrees_with_the_definition() {
    for (batch, channels, filters, kernel, stride, height, width) in [
        (2, 3, 5, 3, 1, 7, 7),
        (1, 2, 4, 3, 1, 12, 31),
        (2, 5, 3, 3, 2, 14, 16),
        (3, 1, 9, 3, 2, 9, 13),
        (1, 3, 2, 5, 1, 6, 40),
        (2, 2, 6, 5, 2, 11, 8),
        (1, 4, 4, 7, 2, 19, 22),
        (1, 2, 1, 7, 1, 5, 3),
        (2, 3, 4, 1, 1, 3, 9),
        (1, 1, 1, 3, 2, 1, 1),
        (1, 2, 2, 5, 3, 10, 17),
        // Several bands.
        (1, 150, 2, 3, 1, 9, 130),
        (1, 60, 3, 3, 2, 41, 129),
    ] {
        let of =
            Dense { input: [batch, channels, height, width], filters, kernel, padding: kernel / 2, stride };
        let input = values(of.input.iter().product(), 1);
        let filter = values(filters * channels * kernel * kernel, 2);
        let gradient = values(of.output().iter().product(), 3);
        let bias = values(filters, 4);
        let out_plane = of.output()[2] * of.output()[3];
        let mut output: Vec<f32> = (0..gradient.len()).map(|at| bias[at / out_plane % filters]).collect();
        let (mut to_input, mut to_filter) = (vec![0.0; input.len()], vec![0.0; filter.len()]);
        meetings(&of, |i, f, o| {
            output[o] += input[i] * filter[f];
            to_input[i] += gradient[o] * filter[f];
            to_filter[f] += gradient[o] * input[i];
        });
        let close = |found: Vec<f32>, wanted: &[f32], what: &str| {
            assert_eq!(found.len(), wanted.len());
            let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{what} of {of:?}: {worst}");
        };
        close(of.forward(&input, &filter, &bias, None), &output, "output");
        close(of.transposed(&gradient, &filter, &[], None), &to_input, "gradient of input");
        close(of.filter_gradient(&input, &gradient), &to_filter, "gradient of filter");
    }
}
