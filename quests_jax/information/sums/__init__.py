"""The engine: sums of the Gaussian kernel over environments, in memory that does not grow with n·m."""
