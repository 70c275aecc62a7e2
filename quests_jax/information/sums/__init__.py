"""The engine: sums of the Gaussian kernel over environments, in memory that does not grow with n·m."""

# The modules, in the order in which a call passes them:
#
#   same_element_sums     what others import; elements apart where they are told apart, by element_division
#   kernel_sums           checks arguments, fills sizes up so that few programs are compiled
#   primitives            three sums as primitives of JAX with rules for their derivatives, which are the same
#                         three sums again; primitive_registration makes a primitive of a function
#   nan_guarded_sums      the sums that need no rules of their own: cross sums, masses, sums of others
#     dense               all pairs at once, where they are few
#     tile_by_tile        near pairs of tiles only; log_sums the same for logarithms, structure_sums for M_si
#       tile_geometry     orders rows, cuts them into tiles, says how far apart two tiles are
#       near_tile_pairs   lists the near pairs and sums the list in batches
#       exponents         forms -|y - x|^2/2h^2 by products of rows or, with care, by differences
#       fused_kernels     exponents and sums in one kernel on an accelerator
#   devices, sharding     the same sums over several devices
#
# The error budget.
#
# u is the rounding of the dtype that is computed in: 2.2e-16 in float64, 1.2e-7 in float32 (also for
# float16 and bfloat16, whose results are rounded once more). r is the distance of a query to its nearest
# row of the reference (0 in sums of a set with itself), h the bandwidth, E the extent of the data, d the
# number of features.
#
# 1. Every exponent s = -|y - x|^2/2h^2 that counts is formed with an absolute error of at most 5e-13 in
#    float64 and 5e-6 in float32, or 4u|s| where that is more. Plain products of rows measured from the
#    center of a tile do so within 47 h (float64) and 6.5 h (float32) of the center; beyond, exponents
#    come from differences, or in float32 on a CPU from float64. This holds for any extent: rows are used
#    as they are given. What is subtracted first is an origin that both sides share and that subtracts
#    exactly (the mean, where it is far for the spread).
# 2. Terms that are left out add at most 1e-12: relative to the sum in `log_kernel_sum`, `delta_entropy`
#    and the sums of others; to the largest weight in `self_kernel_sum`; to the largest kernel, 1, in
#    `cross_kernel_sums` and `structure_masses`; to the largest |v| in `kernel_product`.
# 3. So a sum has a relative error of 2e-12 in float64 and 2e-5 in float32, and its logarithm that
#    absolute error or 32u(r/h)^2/2 where the nearest row is far away. H, D and delta entropy inherit the
#    error of the logarithm. Sums of float32 add up in float32: n u more for n terms of equal size.
# 4. Derivatives by the bandwidth and by weights are sums of the same kind: nothing cancels, at any
#    extent. Derivatives by rows are differences of sums of rows: their error is u E/h^2 for the first
#    derivative, in units 1/h a relative error of u E/h, and u (E/h)^2 for the second. In float32 the
#    second is of no use where E > 1000 h. Derivatives of a logarithm by y are of shares that add up to 1, at
#    any r. Those by x and by weights are right up to a factor exp(±4u(r/h)^2): 4 % in float32 at 1000 h, and
#    of no use in float32 beyond 2000 h.
# 5. Rows, weights and bandwidths that are not finite are refused outside of `jax.jit`. Inside, a row of y
#    gives NaN in its own result only, a row of x or a bandwidth in all that are summed over it.
# 6. Products that touch rows or kernels ask for the highest precision: a GPU then rounds nothing, and a TPU
#    adds six products of bfloat16, with which all of the above holds. What rounds factors to b bits behind
#    the leading one gives exponents an error of up to 1.5 · 2^-b r^2 at r bandwidths from the center: at 6.5
#    it is 0.06 with TF32 (b = 10) and 0.5 with bfloat16 (b = 7). Emulated on data that spread over 6 h, delta
#    entropies were wrong by 5e-3 nats with TF32, 5e-2 with bfloat16, 1e-4 with three products of bfloat16,
#    9e-7 with six.
