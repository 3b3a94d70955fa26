//! One suite for all kernels: each equals a convolution written down straight from its definition, bit for bit.

use fastrand::Rng;

use super::*;

fn bytes(rng: &mut Rng, length: usize) -> Vec<u8> {
    (0..length).map(|_| rng.u8(..)).collect()
}

/// Weights over the whole range, extremes more often than chance would have them.
fn weights(rng: &mut Rng, length: usize) -> Vec<i8> {
    let extreme = [-128, -127, 127, 0];
    (0..length).map(|_| if rng.u8(..8) == 0 { extreme[rng.usize(..4)] } else { rng.i8(..) }).collect()
}

fn requantisation(rng: &mut Rng, channels: usize) -> Requantisation {
    let multipliers = (0..channels).map(|_| 0.0005 + rng.f32() * 0.003).collect();
    let plain = Requantisation::linear(multipliers, rng.u8(..));
    match rng.u8(..3) {
        0 => plain,
        1 => Requantisation { low: rng.u8(..100), high: rng.u8(100..), ..plain },
        _ => Requantisation { table: Some(Box::new(std::array::from_fn(|i| 255 - i as u8))), ..plain },
    }
}

/// The definition, with exact integers.
fn requantise(sum: i64, channel: usize, to: &Requantisation) -> u8 {
    let steps = f64::from(sum as f32 * to.multipliers[channel]).round_ties_even() as i64;
    let value = (steps + i64::from(to.zero_point)).clamp(to.low.into(), to.high.into());
    to.table.as_ref().map_or(value as u8, |table| table[value as usize])
}

/// The input value at a place of the padded image, less its zero point.
fn at(input: &[u8], shape: ImageShape, zero_point: u8, place: [isize; 2], channel: usize) -> i64 {
    let [Ok(y), Ok(x)] = place.map(usize::try_from) else { return 0 };
    if y >= shape.height || x >= shape.width {
        return 0;
    }
    i64::from(input[(y * shape.width + x) * shape.channels + channel]) - i64::from(zero_point)
}

/// Calls `visit` for each output pixel with the places under the window, row by row.
fn slide(window: &Window, [height, width]: [usize; 2], mut visit: impl FnMut(usize, &[[isize; 2]])) {
    for pixel in 0..height * width {
        let corner = [pixel / width, pixel % width];
        let corner: [isize; 2] = std::array::from_fn(|axis| {
            (corner[axis] * window.stride[axis]) as isize - window.padding_before[axis] as isize
        });
        let places: Vec<_> = (0..window.size[0] * window.size[1])
            .map(|k| [corner[0] + (k / window.size[1]) as isize, corner[1] + (k % window.size[1]) as isize])
            .collect();
        visit(pixel, &places);
    }
}

fn dense(spec: &ConvolutionSpec<'_>, input: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    slide(&spec.window, spec.window.places(spec.input).unwrap(), |_, places| {
        for channel in 0..spec.output_channels {
            let patch = places.len() * spec.input.channels;
            let sum: i64 = (0..patch)
                .map(|k| {
                    let place = places[k / spec.input.channels];
                    let value = at(input, spec.input, spec.input_zero_point, place, k % spec.input.channels);
                    value * i64::from(spec.weights[channel * patch + k])
                })
                .sum();
            output.push(requantise(sum + i64::from(spec.bias[channel]), channel, spec.requantisation));
        }
    });
    output
}

fn depthwise(spec: &DepthwiseSpec<'_>, input: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    slide(&spec.window, spec.window.places(spec.input).unwrap(), |_, places| {
        for channel in 0..spec.input.channels {
            let products = places.iter().zip(&spec.weights[channel * 9..]).map(|(&place, &weight)| {
                at(input, spec.input, spec.input_zero_point, place, channel) * i64::from(weight)
            });
            let sum = products.sum::<i64>() + i64::from(spec.bias[channel]);
            output.push(requantise(sum, channel, spec.requantisation));
        }
    });
    output
}

/// Output of `run` in the middle of a wider image, and a check that its surroundings stay as they were.
fn in_wider_image(shape: ImageShape, run: impl FnOnce(Output<'_>)) -> Vec<u8> {
    let step = shape.channels + 5;
    let row_step = shape.width * step + 7;
    let mut image = vec![77; shape.height * row_step];
    run(Output { values: &mut image[2..], step, row_step });
    assert!(image.chunks(row_step).all(|row| row[row_step - 7..] == [77; 7]), "{shape:?}");
    let pixels = image.chunks(row_step).flat_map(|row| row[..row_step - 7].chunks(step));
    assert!(pixels.clone().all(|pixel| pixel[..2] == [77; 2] && pixel[step - 3..] == [77; 3]), "{shape:?}");
    pixels.flat_map(|pixel| pixel[2..step - 3].to_vec()).collect()
}

fn check_dense(rng: &mut Rng, input: ImageShape, window: Window, output_channels: usize) {
    let patch = window.size.iter().product::<usize>() * input.channels;
    let weights = weights(rng, patch * output_channels);
    let bias: Vec<_> = (0..output_channels).map(|_| rng.i32(-20_000..20_000)).collect();
    let requantisation = requantisation(rng, output_channels);
    let spec = ConvolutionSpec {
        input,
        input_zero_point: rng.u8(..),
        window,
        output_channels,
        weights: &weights,
        bias: &bias,
        requantisation: &requantisation,
    };
    let image = bytes(rng, input.len());
    let expected = dense(&spec, &image);
    for kernel in Kernel::available() {
        let layer = Convolution::new(kernel, &spec).unwrap();
        let mut scratch = vec![[9; 4]; layer.scratch_words()];
        let mut output = vec![0; layer.output().len()];
        layer.run(&image, Output::whole(&mut output, layer.output()), &mut scratch).unwrap();
        assert_eq!(output, expected, "{kernel}: {input:?} {window:?} to {output_channels}");
        let inside =
            in_wider_image(layer.output(), |output| layer.run(&image, output, &mut scratch).unwrap());
        assert_eq!(inside, expected, "{kernel} in a wider image");
        let split = rng.usize(..layer.output().height);
        if split > 0 {
            let (upper, lower) = output.split_at_mut(split * layer.output().row());
            let whole = layer.output().height;
            layer.run_rows(split..whole, &image, Output::whole(lower, layer.output()), &mut scratch).unwrap();
            layer.run_rows(0..split, &image, Output::whole(upper, layer.output()), &mut scratch).unwrap();
            assert_eq!(output, expected, "{kernel} in two parts");
        }
    }
}

fn check_depthwise(rng: &mut Rng, input: ImageShape, window: Window) {
    let weights = weights(rng, 9 * input.channels);
    let bias: Vec<_> = (0..input.channels).map(|_| rng.i32(-20_000..20_000)).collect();
    let requantisation = requantisation(rng, input.channels);
    let spec = DepthwiseSpec {
        input,
        input_zero_point: rng.u8(..),
        window,
        weights: &weights,
        bias: &bias,
        requantisation: &requantisation,
    };
    let image = bytes(rng, input.len());
    let expected = depthwise(&spec, &image);
    for kernel in Kernel::available() {
        let layer = Depthwise::new(kernel, &spec).unwrap();
        let mut scratch = vec![[9; 4]; layer.scratch_words()];
        let mut output = vec![0; layer.output().len()];
        layer.run(&image, Output::whole(&mut output, layer.output()), &mut scratch).unwrap();
        assert_eq!(output, expected, "{kernel}: {input:?} {window:?}");
        let inside =
            in_wider_image(layer.output(), |output| layer.run(&image, output, &mut scratch).unwrap());
        assert_eq!(inside, expected, "{kernel} in a wider image");
        let last = layer.output().height - 1;
        let row = &mut output[last * layer.output().row()..];
        row.fill(0);
        layer.run_rows(last..last + 1, &image, Output::whole(row, layer.output()), &mut scratch).unwrap();
        assert_eq!(output, expected, "{kernel}, the last row by itself");
    }
}

fn shape(rng: &mut Rng, largest: usize) -> ImageShape {
    let [height, width] = [rng.usize(1..largest), rng.usize(1..largest)];
    ImageShape { height, width, channels: rng.usize(1..70) }
}

#[test]
fn pointwise_convolutions_equal_their_definition() {
    let mut rng = Rng::with_seed(1);
    for _ in 0..60 {
        let output_channels = rng.usize(1..90);
        let input = shape(&mut rng, 12);
        check_dense(&mut rng, input, Window::square(1, 1), output_channels);
    }
}

#[test]
fn pieces_of_large_pointwise_convolutions_fit_together() {
    let mut rng = Rng::with_seed(2);
    for channels in [500, 1003] {
        check_dense(&mut rng, ImageShape { height: 9, width: 11, channels }, Window::square(1, 1), 24);
    }
}

#[test]
fn windows_of_any_size_stride_and_padding_equal_their_definition() {
    let mut rng = Rng::with_seed(3);
    for _ in 0..120 {
        let mut pair = |range: std::ops::Range<usize>| [rng.usize(range.clone()), rng.usize(range)];
        let window = Window {
            size: pair(1..6),
            stride: pair(1..4),
            padding_before: pair(0..3),
            padding_after: pair(0..3),
        };
        let input = shape(&mut rng, 10);
        if window.places(input).is_ok() {
            let output_channels = rng.usize(1..40);
            check_dense(&mut rng, input, window, output_channels);
        }
    }
}

#[test]
fn bands_of_large_images_fit_together() {
    let mut rng = Rng::with_seed(6);
    check_dense(&mut rng, ImageShape { height: 60, width: 3, channels: 201 }, Window::square(3, 1), 20);
    check_dense(&mut rng, ImageShape { height: 71, width: 9, channels: 150 }, Window::square(3, 2), 9);
}

#[test]
fn rows_of_any_width_and_number_of_channels_equal_their_definition() {
    let mut rng = Rng::with_seed(7);
    for width in 1..40 {
        let output_channels = rng.usize(1..180);
        check_dense(
            &mut rng,
            ImageShape { height: 2, width, channels: 3 },
            Window::square(3, 1),
            output_channels,
        );
    }
}

#[test]
fn depthwise_convolutions_equal_their_definition() {
    let mut rng = Rng::with_seed(4);
    for _ in 0..100 {
        let mut pair = || [rng.usize(0..3), rng.usize(0..3)];
        let (padding_before, padding_after) = (pair(), pair());
        let window = Window { padding_before, padding_after, ..Window::square(3, rng.usize(1..3)) };
        let input = shape(&mut rng, 14);
        if window.places(input).is_ok() {
            check_depthwise(&mut rng, input, window);
        }
    }
    check_depthwise(&mut rng, ImageShape { height: 3, width: 4, channels: 133 }, Window::square(3, 1));
}

#[test]
fn extreme_values_do_not_saturate() {
    let input = ImageShape { height: 1, width: 1, channels: 256 };
    let requantisation = Requantisation::linear(vec![2.0_f32.powi(-15); 2], 128);
    let mut values = [vec![-128; 256], vec![127; 256]].concat();
    values[511] = -128;
    let spec = ConvolutionSpec {
        input,
        input_zero_point: 0,
        window: Window::square(1, 1),
        output_channels: 2,
        weights: &values,
        bias: &[0, 0],
        requantisation: &requantisation,
    };
    // 255 * 128 * 256 and 255 * (127 * 255 - 128), over 2^15.
    for kernel in Kernel::available() {
        let layer = Convolution::new(kernel, &spec).unwrap();
        let mut output = [0; 2];
        let mut scratch = vec![[0; 4]; layer.scratch_words()];
        layer.run(&[255; 256], Output::whole(&mut output, layer.output()), &mut scratch).unwrap();
        assert_eq!(output, [0, 255], "{kernel}");
    }
    let finer = Requantisation::linear(vec![2.0_f32.powi(-17); 2], 128);
    for kernel in Kernel::available() {
        let spec = ConvolutionSpec { requantisation: &finer, ..spec.clone() };
        let layer = Convolution::new(kernel, &spec).unwrap();
        let mut output = [0; 2];
        let mut scratch = vec![[0; 4]; layer.scratch_words()];
        layer.run(&[255; 256], Output::whole(&mut output, layer.output()), &mut scratch).unwrap();
        assert_eq!(output, [64, 191], "{kernel}");
    }
}

#[test]
fn additions_equal_their_definition_on_all_kernels() {
    let mut rng = Rng::with_seed(5);
    for _ in 0..50 {
        let (low, high) = (rng.u8(..100), rng.u8(100..));
        let add = Addition {
            input_zero_points: [rng.u8(..), rng.u8(..)],
            ratios: [rng.f32() * 3.0, rng.f32() * 3.0],
            zero_point: rng.u8(..),
            low,
            high,
        };
        let length = rng.usize(..200);
        let (a, b) = (bytes(&mut rng, length), bytes(&mut rng, length));
        let expected: Vec<u8> = a
            .iter()
            .zip(&b)
            .map(|(&a, &b)| {
                let term = |i: usize, value: u8| {
                    f32::from(i16::from(value) - i16::from(add.input_zero_points[i])) * add.ratios[i]
                };
                let steps = (term(0, a) + term(1, b)).round_ties_even() as i32;
                (steps + i32::from(add.zero_point)).clamp(low.into(), high.into()) as u8
            })
            .collect();
        for kernel in Kernel::available() {
            let mut output = vec![0; length];
            add.run(kernel, [&a, &b], &mut output).unwrap();
            assert_eq!(output, expected, "{kernel}");
        }
    }
}

#[test]
fn wrong_lengths_are_errors() {
    let input = ImageShape { height: 2, width: 2, channels: 4 };
    let requantisation = Requantisation::linear(vec![0.01; 3], 0);
    let spec = ConvolutionSpec {
        input,
        input_zero_point: 0,
        window: Window::square(1, 1),
        output_channels: 3,
        weights: &[1; 12],
        bias: &[0; 3],
        requantisation: &requantisation,
    };
    for kernel in Kernel::available() {
        assert!(Convolution::new(kernel, &ConvolutionSpec { weights: &[1; 11], ..spec.clone() }).is_err());
        assert!(Convolution::new(kernel, &ConvolutionSpec { bias: &[1; 4], ..spec.clone() }).is_err());
        let layer = Convolution::new(kernel, &spec).unwrap();
        let mut output = [0; 12];
        let mut scratch = vec![[0; 4]; layer.scratch_words()];
        assert!(layer.run(&[0; 15], Output::whole(&mut output, layer.output()), &mut scratch).is_err());
        assert!(layer.run(&[0; 16], Output::whole(&mut output[..11], layer.output()), &mut scratch).is_err());
        assert!(
            layer.run(&[0; 16], Output { values: &mut output, step: 2, row_step: 6 }, &mut scratch).is_err()
        );
        assert!(
            layer.run_rows(1..3, &[0; 16], Output::whole(&mut output, layer.output()), &mut scratch).is_err()
        );
        assert!(layer.run(&[0; 16], Output::whole(&mut output, layer.output()), &mut []).is_err());
        assert!(layer.run(&[0; 16], Output::whole(&mut output, layer.output()), &mut scratch).is_ok());
    }
}
