"""Where a study's runs are carried out: on this machine, by SLURM, or by Ray."""
