//! Runs one case with our kernels.

use crate::{Case, Layer, Pass, Pool};
use anyhow::{Result, bail};
use d2l_kernels::batch_norm::{self, BatchNorm, Gradients, Moments, MomentsMut};
use d2l_kernels::conv2d::{self, Activation, Algorithm, Conv2dShape};
use d2l_kernels::linear;
use d2l_kernels::memory::prefer_large_pages;
use d2l_kernels::pool::{self, Pool2dShape};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The shortest time of one run of `case`, over runs of about `seconds` in all, on the current rayon pool.
///
/// # Errors
/// If the case is not one a kernel can run, or `algorithm` is not one of `auto`, `direct`, `winograd`.
pub fn measure(case: &Case, algorithm: &str, seconds: f64) -> Result<f64> {
    let time = Duration::from_secs_f64(seconds);
    match case.layer {
        Layer::Conv {
            batch,
            size,
            in_channels,
            out_channels,
            kernel,
            stride,
            padding,
        } => {
            let shape = Conv2dShape {
                batch,
                in_height: size,
                in_width: size,
                in_channels,
                out_channels,
                kernel: [kernel; 2],
                stride: [stride; 2],
                padding: [padding; 2],
                dilation: [1; 2],
                groups: 1,
            };
            let algorithm = match algorithm {
                "auto" => Algorithm::Auto,
                "direct" => Algorithm::Direct,
                "winograd" => Algorithm::Winograd,
                other => bail!("unknown algorithm {other}: auto, direct or winograd"),
            };
            conv(&shape, case.pass, algorithm, time)
        }
        Layer::Linear {
            batch,
            in_features,
            out_features,
        } => dense(batch, in_features, out_features, case.pass, time),
        Layer::MaxPool(pool) => max_pool(&pool, case.pass, time),
        Layer::AvgPool(pool) => avg_pool(&pool, case.pass, time),
        Layer::BatchNorm {
            batch,
            size,
            channels,
            relu,
        } => batch_norm(batch * size * size, channels, relu, case.pass, time),
    }
}

/// The shortest of the runs of `run` that fit in `time`, after one to warm up; at least three.
fn best<E>(time: Duration, mut run: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    run()?;
    let start = Instant::now();
    let mut best = f64::INFINITY;
    let mut runs = 0;
    while runs < 3 || start.elapsed() < time {
        let run_start = Instant::now();
        run()?;
        best = best.min(run_start.elapsed().as_secs_f64());
        runs += 1;
    }
    Ok(best)
}

/// Values in −1..1 without a pattern that matters, in large pages, as a network's own buffers are.
fn values(len: usize) -> Vec<f32> {
    let mut values = vec![0.0; len];
    prefer_large_pages(&mut values);
    for (index, value) in values.iter_mut().enumerate() {
        *value = ((index * 7919) % 1009) as f32 / 504.5 - 1.0;
    }
    values
}

fn conv(shape: &Conv2dShape, pass: Pass, algorithm: Algorithm, time: Duration) -> Result<f64> {
    let mut x = values(shape.x_len());
    let mut weight = values(shape.weight_len());
    let mut y = values(shape.y_len());
    let best = match pass {
        Pass::Forward => best(time, || {
            conv2d::forward(
                shape,
                &x,
                &weight,
                None,
                Activation::None,
                algorithm,
                black_box(&mut y),
            )
        }),
        Pass::GradInput => best(time, || {
            conv2d::grad_input(shape, &y, &weight, algorithm, black_box(&mut x))
        }),
        Pass::GradWeight => best(time, || {
            conv2d::grad_weight(shape, &x, &y, algorithm, black_box(&mut weight))
        }),
        Pass::Backward => bail!("a convolution has no joint backward pass"),
    };
    Ok(best?)
}

fn dense(batch: usize, input: usize, output: usize, pass: Pass, time: Duration) -> Result<f64> {
    let (mut x, mut weight, mut y) = (
        values(batch * input),
        values(output * input),
        values(batch * output),
    );
    let best = match pass {
        Pass::Forward => best(time, || {
            linear::forward(batch, input, output, &x, &weight, None, false, black_box(&mut y))
        }),
        Pass::GradInput => best(time, || {
            linear::grad_input(batch, input, output, &y, &weight, black_box(&mut x))
        }),
        Pass::GradWeight => best(time, || {
            linear::grad_weight(batch, input, output, &x, &y, black_box(&mut weight))
        }),
        Pass::Backward => bail!("a dense layer has no joint backward pass"),
    };
    Ok(best?)
}

fn pool_shape(pool: &Pool) -> Pool2dShape {
    Pool2dShape {
        batch: pool.batch,
        height: pool.size,
        width: pool.size,
        channels: pool.channels,
        kernel: [pool.kernel; 2],
        stride: [pool.stride; 2],
        padding: [pool.padding; 2],
        ceil_mode: false,
        count_include_pad: true,
    }
}

fn max_pool(pool: &Pool, pass: Pass, time: Duration) -> Result<f64> {
    let shape = pool_shape(pool);
    let (mut x, mut y) = (values(shape.x_len()), values(shape.y_len()));
    let mut argmax = vec![0; shape.y_len()];
    pool::max_forward(&shape, &x, &mut y, &mut argmax)?;
    let best = match pass {
        Pass::Forward => best(time, || {
            pool::max_forward(&shape, &x, black_box(&mut y), &mut argmax)
        }),
        Pass::Backward => best(time, || {
            pool::max_backward(&shape, &y, &argmax, None, black_box(&mut x))
        }),
        _ => bail!("a pooling layer has no products"),
    };
    Ok(best?)
}

fn avg_pool(pool: &Pool, pass: Pass, time: Duration) -> Result<f64> {
    let shape = pool_shape(pool);
    let (mut x, mut y) = (values(shape.x_len()), values(shape.y_len()));
    let best = match pass {
        Pass::Forward => best(time, || pool::avg_forward(&shape, &x, black_box(&mut y))),
        Pass::Backward => best(time, || pool::avg_backward(&shape, &y, black_box(&mut x))),
        _ => bail!("a pooling layer has no products"),
    };
    Ok(best?)
}

fn batch_norm(rows: usize, channels: usize, relu: bool, pass: Pass, time: Duration) -> Result<f64> {
    let (x, gamma, beta) = (values(rows * channels), vec![1.0; channels], vec![0.0; channels]);
    let norm = BatchNorm {
        rows,
        channels,
        gamma: &gamma,
        beta: &beta,
        eps: 1e-5,
        relu,
    };
    let mut y = values(x.len());
    let (mut mean, mut variance) = (vec![0.0; channels], vec![0.0; channels]);
    let mut forward = |y: &mut [f32]| {
        let moments = MomentsMut {
            mean: &mut mean,
            variance: &mut variance,
        };
        batch_norm::train_forward(&norm, &x, y, moments)
    };
    if pass == Pass::Forward {
        return Ok(best(time, || forward(black_box(&mut y)))?);
    }
    forward(&mut y)?;
    let dy = values(x.len());
    let (mut dx, mut dgamma, mut dbeta) = (y, gamma.clone(), beta.clone());
    Ok(best(time, || {
        let gradients = Gradients {
            dx: Some(black_box(&mut dx)),
            dgamma: &mut dgamma,
            dbeta: &mut dbeta,
        };
        let moments = Moments {
            mean: &mean,
            variance: &variance,
        };
        batch_norm::train_backward(&norm, &x, &dy, moments, gradients)
    })?)
}
