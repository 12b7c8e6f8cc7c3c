"""A cluster of Dask's with two processes."""
import dask.array
from dask.distributed import Client, LocalCluster


def add(seed):
    import colorsys

    return seed + 1


if __name__ == "__main__":
    options = dict(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        numbers = dask.array.arange(1_000_000, chunks=100_000)
        print(int((numbers * 2).sum().compute()))
        print(sorted(client.run(add, 7).values()))
