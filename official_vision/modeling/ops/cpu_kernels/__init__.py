"""Operations that are quicker than TensorFlow's on CPUs; `Execution.cpu_kernels` switches all of them."""
