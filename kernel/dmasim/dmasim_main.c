// SPDX-License-Identifier: GPL-2.0
/*
 * dmasim: an emulated DMA engine, for any client of the dmaengine API.
 *
 * The module makes one platform device, "dmasim", and its driver. The driver
 * can be unbound in sysfs at any time, which is how hardware is pulled. A
 * client's channel holds a reference to the module, not to the binding, so the
 * device's memory outlives the binding:
 *
 *   bind	probe() makes struct dmasim and registers it
 *   unbind	remove() sets "gone", which makes the engine fail what it has,
 *		waits until it is off all memory, and unregisters
 *   release	dmaengine calls release() when the last channel was given back
 *		after that; free_work frees
 *
 * dmaengine still reads the channel after release(), under its mutex. So
 * free_work passes through that mutex first. dmaengine also looks up the names
 * of unregistered channels, while others of the device are in use: the
 * channels' devices are kept as long as the channels.
 */
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

#include "dmasim.h"
#include "rxe_hmm_version.h"

#define NAME	"dmasim"

static unsigned int channels = 4;

static int set_channels(const char *value, const struct kernel_param *kp)
{
	return param_set_uint_minmax(value, kp, 1, DMASIM_MAX_CHANNELS);
}

static const struct kernel_param_ops channels_ops = {
	.set = set_channels,
	.get = param_get_uint,
};
module_param_cb(channels, &channels_ops, &channels, 0444);
MODULE_PARM_DESC(channels, "number of channels, 1 to 32 (default: 4)");

static struct workqueue_struct *dmasim_wq;

static bool no_channel(struct dma_chan *chan, void *param)
{
	return false;
}

/* Who held dmaengine's mutex has let go of it when this returns. */
static void pass_dmaengine_mutex(void)
{
	dma_cap_mask_t mask;

	dma_cap_zero(mask);
	dma_request_channel(mask, no_channel, NULL);
}

static void sim_free(struct dmasim *sim)
{
	unsigned int i;

	for (i = 0; i < sim->nr_chans; i++) {
		cancel_work_sync(&sim->chans[i].work);
		tasklet_kill(&sim->chans[i].vc.task);
		put_device(sim->chans[i].dev);
	}
	put_device(sim->ddev.dev);
	kfree(sim);
}

static void free_work(struct work_struct *work)
{
	pass_dmaengine_mutex();
	sim_free(container_of(work, struct dmasim, free_work));
}

static void release(struct dma_device *ddev)
{
	struct dmasim *sim = container_of(ddev, struct dmasim, ddev);

	queue_work(dmasim_wq, &sim->free_work);
}

static struct dmasim *sim_create(struct device *dev)
{
	struct dmasim *sim;
	unsigned int i;

	sim = kzalloc_flex(*sim, chans, channels);
	if (!sim)
		return NULL;
	sim->nr_chans = channels;
	sim->wq = dmasim_wq;
	INIT_WORK(&sim->free_work, free_work);
	sim->ddev.dev = get_device(dev);
	sim->ddev.device_release = release;
	INIT_LIST_HEAD(&sim->ddev.channels);
	dmasim_chan_ops(&sim->ddev);
	dmasim_knobs_init(sim);
	for (i = 0; i < channels; i++)
		dmasim_chan_init(sim, &sim->chans[i]);

	return sim;
}

static int probe(struct platform_device *pdev)
{
	struct dmasim *sim;
	unsigned int i;
	int err;

	/* addresses behind an IOMMU are not the CPU's */
	if (device_iommu_mapped(&pdev->dev))
		return -EOPNOTSUPP;
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);

	sim = sim_create(&pdev->dev);
	if (!sim)
		return -ENOMEM;
	err = dma_async_device_register(&sim->ddev);
	if (err) {
		sim_free(sim);
		return err;
	}
	for (i = 0; i < sim->nr_chans; i++)
		sim->chans[i].dev =
			get_device(&sim->chans[i].vc.chan.dev->device);
	dmasim_knobs_show(sim);
	platform_set_drvdata(pdev, sim);

	return 0;
}

static void remove(struct platform_device *pdev)
{
	struct dmasim *sim = platform_get_drvdata(pdev);
	unsigned int i;

	WRITE_ONCE(sim->gone, true);
	dmasim_kick(sim);
	for (i = 0; i < sim->nr_chans; i++)
		flush_work(&sim->chans[i].work);
	dma_async_device_unregister(&sim->ddev);
}

static struct platform_driver driver = {
	.probe = probe,
	.remove = remove,
	.driver = {
		.name = NAME,
	},
};

static struct platform_device *device;

static int __init dmasim_init(void)
{
	const struct platform_device_info info = {
		.name = NAME,
		.id = PLATFORM_DEVID_NONE,
		.dma_mask = DMA_BIT_MASK(64),
	};
	int err;

	/* a client may wait for a copy in order to free memory */
	dmasim_wq = alloc_workqueue(NAME, WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!dmasim_wq)
		return -ENOMEM;
	err = platform_driver_register(&driver);
	if (err)
		goto err_wq;
	device = platform_device_register_full(&info);
	if (IS_ERR(device)) {
		err = PTR_ERR(device);
		goto err_driver;
	}

	return 0;

err_driver:
	platform_driver_unregister(&driver);
err_wq:
	destroy_workqueue(dmasim_wq);
	return err;
}

static void __exit dmasim_exit(void)
{
	platform_device_unregister(device);
	platform_driver_unregister(&driver);
	destroy_workqueue(dmasim_wq);
}

module_init(dmasim_init);
module_exit(dmasim_exit);

MODULE_DESCRIPTION("Emulated DMA engine");
MODULE_LICENSE("GPL");
MODULE_VERSION(RXE_HMM_VERSION);
MODULE_ALIAS("platform:" NAME);
