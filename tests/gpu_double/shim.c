/* Makes OpenVINO's GPU plugin take an OpenCL runtime for CPUs: its devices say that they are
 * GPUs, of no known vendor, and programs live on after the plugin has let them go, which this
 * runtime needs. For tests: what runs on it is never called a GPU. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

#define DEVICE_TYPE 0x1000u
#define DEVICE_VENDOR_ID 0x1001u
#define TYPE_GPU 4u
#define NO_VENDOR 0x1234u

int clGetDeviceInfo(void *device, uint32_t name, size_t size, void *value, size_t *used)
{
    int (*next)(void *, uint32_t, size_t, void *, size_t *) = dlsym(RTLD_NEXT, "clGetDeviceInfo");
    const uint64_t type = TYPE_GPU;
    const uint32_t vendor = NO_VENDOR;
    int status = next(device, name, size, value, used);

    if (status == 0 && value != NULL) {
        if (name == DEVICE_TYPE && size >= sizeof type)
            memcpy(value, &type, sizeof type);
        if (name == DEVICE_VENDOR_ID && size >= sizeof vendor)
            memcpy(value, &vendor, sizeof vendor);
    }
    return status;
}

int clBuildProgram(void *program, uint32_t n, const void *devices, const char *options, void *notify,
                   void *data)
{
    int (*next)(void *, uint32_t, const void *, const char *, void *, void *) =
        dlsym(RTLD_NEXT, "clBuildProgram");
    int (*retain)(void *) = dlsym(RTLD_NEXT, "clRetainProgram");
    int status = next(program, n, devices, options, notify, data);

    if (status == 0)
        retain(program);
    return status;
}
