"""Operations that the layers are made of, some of them written for speed on CPUs."""
