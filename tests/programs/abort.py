"""Ranks of MPI. The one that is named aborts them all; the others wait for it."""
import os, sys, time
from mpi4py import MPI

ranks = MPI.COMM_WORLD
os.write(1, f"rank {ranks.rank} of {ranks.size}\n".encode())
ranks.Barrier()
time.sleep(0.5)  # for the launcher to pass on what was printed
if ranks.rank == int(sys.argv[1]):
    ranks.Abort(7)
    time.sleep(60)  # MPICH returns from it and leaves it to the launcher to kill
ranks.Barrier()
