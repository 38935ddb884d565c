/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A device's files in sysfs: /sys/class/infiniband/<device>/hmm/
 */
#ifndef RXE_SYSFS_H
#define RXE_SYSFS_H

struct rxe_dev;

void rxe_sysfs_init(struct rxe_dev *rxe);

#endif /* RXE_SYSFS_H */
