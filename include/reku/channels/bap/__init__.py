"""What on-line banking, a terminal and the advisor show: three channels, told to agree21BAP in one file each day."""
